// From a path to a model.
#pragma once

#include <string>

#include "base/status.h"
#include "model/model_spec.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// What a checkpoint holds. `tokenizer` and `chat_template` are empty where the checkpoint has none
/// (GGUF tokenizer "none", a directory without tokenizer.json): such a model serves token ids only.
struct LoadedModel {
  std::shared_ptr<const Model> model;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string chat_template;  ///< Jinja source
};

/// Opens a GGUF file, or a Hugging Face directory with config.json and safetensors, and checks
/// every tensor's shape against the hyperparameters. Reads headers and tokenizers only: weights
/// stay mapped until a stage is made.
Result<LoadedModel> load_model(const std::string& path);

}  // namespace mokume
