#include "tokenizer/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "tokenizer/jinja/expr_parser.h"
#include "tokenizer/jinja/token_stream.h"

namespace mokume::jinja {
namespace {

constexpr size_t kMaxTemplateBytes = 4u << 20;

using StmtPtr = std::unique_ptr<Stmt>;
using Names = std::initializer_list<std::string_view>;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Body run() { return parse_body({}); }

 private:
  /// Statements up to a tag that starts with one of `ends`, whose `{%` is read but not its name;
  /// without `ends`, up to the end of the template.
  Body parse_body(Names ends) {
    const Nesting guard(nesting_, tokens_);
    Body body;
    while (!tokens_.at(TokenKind::kEnd)) {
      const Token token = tokens_.next();
      if (token.kind == TokenKind::kText) {
        body.push_back(make(StmtKind::kText, token.line));
        body.back()->text = token.text;
      } else if (token.kind == TokenKind::kOutputBegin) {
        body.push_back(make(StmtKind::kOutput, token.line));
        body.back()->expr = exprs_.parse_tuple();
        tokens_.expect(TokenKind::kOutputEnd, "'}}'");
      } else {
        const auto is_here = [&](std::string_view name) { return tokens_.at_name(name); };
        if (std::any_of(ends.begin(), ends.end(), is_here)) return body;
        body.push_back(parse_statement());
      }
    }
    if (ends.size() > 0) tokens_.unexpected(str_cat("{% ", *(ends.end() - 1), " %}"));
    return body;
  }

  static StmtPtr make(StmtKind kind, int line) { return std::make_unique<Stmt>(Stmt{kind, line}); }

  StmtPtr parse_statement() {
    using Parse = StmtPtr (Parser::*)(int);
    static constexpr std::pair<std::string_view, Parse> kStatements[] = {
        {"if", &Parser::parse_if},      {"for", &Parser::parse_for},
        {"set", &Parser::parse_set},    {"macro", &Parser::parse_macro},
        {"call", &Parser::parse_call},  {"filter", &Parser::parse_filter},
        {"with", &Parser::parse_with},  {"generation", &Parser::parse_generation},
        {"break", &Parser::parse_jump}, {"continue", &Parser::parse_jump}};
    const int line = tokens_.peek().line;
    for (const auto& [name, parse] : kStatements) {
      if (tokens_.at_name(name)) return (this->*parse)(line);
    }
    tokens_.unexpected("a statement that chat templates may use");
  }

  void end_tag() { tokens_.expect(TokenKind::kBlockEnd, "'%}'"); }

  /// The body up to `{% name %}`.
  Body parse_body_until(std::string_view name) {
    Body body = parse_body({name});
    tokens_.next();
    end_tag();
    return body;
  }

  StmtPtr parse_if(int line) {
    StmtPtr stmt = make(StmtKind::kIf, line);
    while (tokens_.next().text != "else") {  // reads `if`, `elif`, or the `else` at the end
      ExprPtr condition = exprs_.parse_tuple();
      end_tag();
      stmt->branches.push_back({std::move(condition), parse_body({"elif", "else", "endif"})});
      if (tokens_.at_name("endif")) {
        tokens_.next();
        end_tag();
        return stmt;
      }
    }
    end_tag();
    stmt->body = parse_body_until("endif");
    return stmt;
  }

  StmtPtr parse_for(int line) {
    tokens_.next();
    StmtPtr stmt = make(StmtKind::kFor, line);
    stmt->target = parse_target(false);
    if (!tokens_.skip_name("in")) tokens_.unexpected("'in'");
    stmt->expr = exprs_.parse_tuple(false);
    if (tokens_.skip_name("if")) stmt->condition = exprs_.parse();
    if (tokens_.at_name("recursive")) tokens_.error("recursive loops are not supported");
    end_tag();
    ++loops_;
    stmt->body = parse_body({"else", "endfor"});
    --loops_;
    if (tokens_.next().text == "else") {
      end_tag();
      stmt->else_body = parse_body_until("endfor");
    } else {
      end_tag();
    }
    return stmt;
  }

  StmtPtr parse_set(int line) {
    tokens_.next();
    StmtPtr stmt = make(StmtKind::kSet, line);
    stmt->target = parse_target(true);
    if (tokens_.skip_symbol("=")) {
      stmt->expr = exprs_.parse_tuple();
      end_tag();
      return stmt;
    }
    stmt->kind = StmtKind::kSetBlock;
    if (tokens_.skip_symbol("|")) stmt->expr = exprs_.parse_filters(nullptr);
    end_tag();
    stmt->body = parse_body_until("endset");
    return stmt;
  }

  Target parse_target(bool with_namespace) {
    const Nesting guard(nesting_, tokens_);
    Target target = parse_single_target(with_namespace);
    if (!tokens_.at_symbol(",")) return target;
    Target tuple;
    tuple.targets.push_back(std::move(target));
    while (tokens_.skip_symbol(",")) {
      if (tokens_.at_name("in") || tokens_.at_symbol("=") || tokens_.at_symbol(")")) break;
      tuple.targets.push_back(parse_single_target(with_namespace));
    }
    return tuple;
  }

  Target parse_single_target(bool with_namespace) {
    if (tokens_.skip_symbol("(")) {
      Target target = parse_target(with_namespace);
      tokens_.expect_symbol(")");
      return target;
    }
    Target target;
    target.name = tokens_.expect_name();
    static constexpr std::string_view kReserved[] = {"true", "false", "none",
                                                     "True", "False", "None"};
    for (std::string_view reserved : kReserved) {
      if (target.name == reserved) tokens_.error("'", reserved, "' cannot be assigned to");
    }
    if (with_namespace && tokens_.skip_symbol(".")) target.attribute = tokens_.expect_name();
    return target;
  }

  std::vector<Parameter> parse_parameters() {
    std::vector<Parameter> parameters;
    tokens_.expect_symbol("(");
    while (!tokens_.at_symbol(")")) {
      if (!parameters.empty()) tokens_.expect_symbol(",");
      Parameter parameter{tokens_.expect_name(), nullptr};
      if (tokens_.skip_symbol("=")) {
        parameter.fallback = exprs_.parse();
      } else if (!parameters.empty() && parameters.back().fallback) {
        tokens_.error("a parameter without a default follows one with a default");
      }
      parameters.push_back(std::move(parameter));
    }
    tokens_.expect_symbol(")");
    return parameters;
  }

  /// A body that is a function of its own: the loops around it do not count.
  Body parse_function_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body body = parse_body_until(end);
    loops_ = loops;
    return body;
  }

  StmtPtr parse_macro(int line) {
    tokens_.next();
    StmtPtr stmt = make(StmtKind::kMacro, line);
    stmt->text = tokens_.expect_name();
    stmt->parameters = parse_parameters();
    end_tag();
    stmt->body = parse_function_body("endmacro");
    return stmt;
  }

  StmtPtr parse_call(int line) {
    tokens_.next();
    StmtPtr stmt = make(StmtKind::kCallBlock, line);
    stmt->text = "caller";
    if (tokens_.at_symbol("(")) stmt->parameters = parse_parameters();
    stmt->expr = exprs_.parse();
    if (stmt->expr->kind != ExprKind::kCall) tokens_.error("{% call %} needs a call of a macro");
    end_tag();
    stmt->body = parse_function_body("endcall");
    return stmt;
  }

  StmtPtr parse_filter(int line) {
    tokens_.next();
    StmtPtr stmt = make(StmtKind::kFilterBlock, line);
    stmt->expr = exprs_.parse_filters(nullptr);
    end_tag();
    stmt->body = parse_body_until("endfilter");
    return stmt;
  }

  StmtPtr parse_with(int line) {
    tokens_.next();
    StmtPtr stmt = make(StmtKind::kWith, line);
    while (!tokens_.at(TokenKind::kBlockEnd)) {
      if (!stmt->assignments.empty()) tokens_.expect_symbol(",");
      Target target = parse_single_target(false);
      tokens_.expect_symbol("=");
      stmt->assignments.emplace_back(std::move(target), exprs_.parse());
    }
    end_tag();
    stmt->body = parse_body_until("endwith");
    return stmt;
  }

  StmtPtr parse_generation(int line) {
    tokens_.next();
    end_tag();
    StmtPtr stmt = make(StmtKind::kBlock, line);
    stmt->body = parse_body_until("endgeneration");
    return stmt;
  }

  StmtPtr parse_jump(int line) {
    const std::string name = tokens_.next().text;
    if (loops_ == 0) tokens_.error("'", name, "' outside of a loop");
    end_tag();
    return make(name == "break" ? StmtKind::kBreak : StmtKind::kContinue, line);
  }

  TokenStream tokens_;
  int nesting_ = 0;
  int loops_ = 0;  // around the current statement, within the current macro
  ExprParser exprs_{tokens_, nesting_};
};

}  // namespace

Body parse_template(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    fail_limit("the template has ", source.size(), " bytes, allowed are ", kMaxTemplateBytes);
  }
  return Parser(tokenize(source)).run();
}

}  // namespace mokume::jinja
