// What the parser makes of a template. Immutable once parsed.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace mokume::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

enum class ExprKind {
  kConst,     ///< value
  kName,      ///< name
  kList,      ///< operands
  kTuple,     ///< operands
  kDict,      ///< operands: key, value, key, value, ...
  kAnd,       ///< operands
  kOr,        ///< operands
  kNot,       ///< operands[0]
  kNegative,  ///< operands[0]
  kPositive,  ///< operands[0]
  kConcat,    ///< operands
  kMath,      ///< operands, and operators between them, from the left
  kCompare,   ///< operands, and operators between them, as Python chains them
  kCond,      ///< operands: test, then, otherwise (may be null)
  kAttr,      ///< operands[0] . name
  kItem,      ///< operands[0] [ operands[1] ]
  kSlice,     ///< operands[0] [ operands[1] : operands[2] : operands[3] ], each may be null
  kCall,      ///< operands[0] ( operands[1..], named )
  kFilter,    ///< operands[0] | name ( operands[1..], named )
  kTest,      ///< operands[0] is name ( operands[1..], named )
};

enum class Operator {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expr {
  ExprKind kind;
  int line;
  int depth = 1;  ///< of the tree below, bounded by the parser
  std::string name;
  Value value;
  std::vector<ExprPtr> operands;
  std::vector<Operator> operators;
  std::vector<std::pair<std::string, ExprPtr>> named;
};

/// Where a value goes: a name, an attribute of a namespace, or a tuple of such.
struct Target {
  std::string name;
  std::string attribute;        ///< not empty: of the namespace `name`
  std::vector<Target> targets;  ///< not empty: a tuple
};

/// A macro's parameter; `fallback` may be null.
struct Parameter {
  std::string name;
  ExprPtr fallback;
};

enum class StmtKind {
  kText,         ///< text
  kOutput,       ///< expr
  kIf,           ///< branches; body is the else branch
  kFor,          ///< target in expr if condition: body, else_body
  kSet,          ///< target = expr
  kSetBlock,     ///< target = body | filter (expr may be null; its innermost operand is null)
  kMacro,        ///< name, parameters, body
  kCallBlock,    ///< expr is the call; parameters, body are the caller's
  kFilterBlock,  ///< expr is the filter, whose innermost operand is null
  kWith,         ///< assignments, body
  kBlock,        ///< body alone (generation)
  kBreak,
  kContinue,
};

struct Branch {
  ExprPtr condition;
  Body body;
};

struct Stmt {
  StmtKind kind;
  int line;
  std::string text;  ///< output text, or the macro's name
  Target target;
  ExprPtr expr;
  ExprPtr condition;
  Body body;
  Body else_body;
  std::vector<Branch> branches;
  std::vector<Parameter> parameters;
  std::vector<std::pair<Target, ExprPtr>> assignments;
};

}  // namespace mokume::jinja
