#include <algorithm>
#include <string>

#include "grpc/wire.h"

namespace mokume {
namespace {

v1::FinishReason encode_finish(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
    case FinishReason::kCancelled:
      return v1::FINISH_REASON_CANCELLED;
    case FinishReason::kDeadline:
      return v1::FINISH_REASON_DEADLINE;
    case FinishReason::kError:
      return v1::FINISH_REASON_ERROR;
  }
  return v1::FINISH_REASON_ERROR;
}

void encode_token(const TextLogprob& in, v1::TokenLogprob* out) {
  out->set_id(in.id);
  out->set_token_bytes(in.bytes);
  out->set_logprob(in.logprob);
}

void encode_logprob(const TextLogprob& in, v1::TokenLogprob* out) {
  encode_token(in, out);
  for (const TextLogprob& top : in.top) encode_token(top, out->add_top());
}

}  // namespace

grpc::Status to_grpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // Percent-encoding makes up to three bytes of one, and clients take 8 KiB of headers.
  constexpr size_t kMaxMessage = 2048;
  std::string message(status.message());
  if (message.size() > kMaxMessage) {
    size_t end = kMaxMessage;
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
    message.resize(end);
    message += "...";
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message);
}

template <typename Response>
grpc::ByteBuffer encode_event(const TextEvent& event) {
  Response out;
  out.set_choice_index(event.choice);
  out.set_text(event.text);
  out.mutable_token_ids()->Add(event.ids.begin(), event.ids.end());
  for (const TextLogprob& logprob : event.logprobs) encode_logprob(logprob, out.add_logprobs());
  if (event.finish) out.set_finish_reason(encode_finish(*event.finish));
  if (event.all_finished) {
    out.mutable_usage()->set_prompt_tokens(event.usage.prompt_tokens);
    out.mutable_usage()->set_completion_tokens(event.usage.completion_tokens);
  }
  return serialize(out);
}

template grpc::ByteBuffer encode_event<v1::GenerateResponse>(const TextEvent& event);
template grpc::ByteBuffer encode_event<v1::ChatResponse>(const TextEvent& event);

v1::ListModelsResponse encode(const std::vector<ModelInfo>& models) {
  v1::ListModelsResponse out;
  for (const ModelInfo& info : models) {
    v1::Model* model = out.add_models();
    model->set_name(info.name);
    model->set_architecture(info.architecture);
    model->mutable_create_time()->set_seconds(info.created);
    model->set_context_length(info.context_length);
    model->set_vocab_size(info.vocab_size);
    model->set_has_tokenizer(info.has_tokenizer);
    model->set_has_chat_template(info.has_chat_template);
  }
  return out;
}

}  // namespace mokume
