#include "tokenizer/spec_checks.h"

#include "tokenizer/special_splitter.h"

namespace mokume {
namespace {

using TokenType = TokenizerSpec::TokenType;

Status check_id(const TokenizerSpec& spec, std::optional<TokenId> id, std::string_view role) {
  if (!id || (*id >= 0 && static_cast<size_t>(*id) < spec.tokens.size())) return absl::OkStatus();
  return invalid_argument("tokenizer", role, " token id ", *id, " is outside the vocabulary of ",
                          spec.tokens.size());
}

Status check_ids(const TokenizerSpec& spec) {
  MKM_RETURN_IF_ERROR(check_id(spec, spec.bos, "BOS"));
  MKM_RETURN_IF_ERROR(check_id(spec, spec.eos, "EOS"));
  MKM_RETURN_IF_ERROR(check_id(spec, spec.unknown, "unknown"));
  MKM_RETURN_IF_ERROR(check_id(spec, spec.padding, "padding"));
  for (TokenId id : spec.end_of_generation) {
    MKM_RETURN_IF_ERROR(check_id(spec, id, "end-of-generation"));
  }
  for (const TokenizerSpec::Finding& finding : spec.findings) {
    MKM_RETURN_IF_ERROR(check_id(spec, finding.id, "added"));
  }
  if (spec.add_bos && !spec.bos) {
    return invalid_argument("tokenizer", "BOS is to be added, but there is no BOS token");
  }
  if (spec.add_eos && !spec.eos) {
    return invalid_argument("tokenizer", "EOS is to be added, but there is no EOS token");
  }
  return absl::OkStatus();
}

Status check_tokens(const TokenizerSpec& spec) {
  const size_t count = spec.tokens.size();
  if (count == 0 || count > Tokenizer::kMaxTokens) {
    return invalid_argument("tokenizer", count, " tokens; a vocabulary has 1 to ",
                            Tokenizer::kMaxTokens);
  }
  if (!spec.types.empty() && spec.types.size() != count) {
    return invalid_argument("tokenizer", spec.types.size(), " token types for ", count,
                            " tokens; there is one type a token");
  }
  for (size_t id = 0; id < spec.types.size(); ++id) {
    if (spec.types[id] > TokenType::kUnused) {
      return invalid_argument("tokenizer", "token type ", static_cast<int>(spec.types[id]),
                              " does not exist (token ", id, ")");
    }
    if (SpecialSplitter::is_special(spec.types[id]) &&
        spec.tokens[id].size() > SpecialSplitter::kMaxSpecialBytes) {
      return invalid_argument("tokenizer", "a special token of ", spec.tokens[id].size(),
                              " bytes; at most ", SpecialSplitter::kMaxSpecialBytes, " (token ", id,
                              ")");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status check_spec(const TokenizerSpec& spec) {
  MKM_RETURN_IF_ERROR(check_tokens(spec));
  return check_ids(spec);
}

}  // namespace mokume
