#include "model/load_model.h"

#include "model/gguf_tokenizer.h"
#include "model/load_spec.h"
#include "weights/gguf.h"

namespace mokume {

Result<LoadedModel> load_model(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const std::shared_ptr<GgufFile> file, GgufFile::open(path));
  MKM_ASSIGN_OR_RETURN(ModelSpec spec, load_spec(*file));
  MKM_ASSIGN_OR_RETURN(std::optional<TokenizerSpec> tokenizer, load_gguf_tokenizer(*file));
  LoadedModel loaded;
  if (tokenizer) {
    if (tokenizer->tokens.size() != static_cast<size_t>(spec.vocab_size)) {
      return invalid_argument("model", "the tokenizer has ", tokenizer->tokens.size(),
                              " tokens, token_embd.weight ", spec.vocab_size, " rows (", path, ")");
    }
    MKM_ASSIGN_OR_RETURN(loaded.tokenizer, Tokenizer::create(*std::move(tokenizer)));
    MKM_ASSIGN_OR_RETURN(loaded.chat_template, load_gguf_chat_template(*file));
  }
  loaded.model = std::make_shared<const Model>(Model{std::move(spec), file});
  return loaded;
}

}  // namespace mokume
