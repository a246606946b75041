// proto/mokume/v1 <-> api types.
#pragma once

#include <grpc/support/time.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>
#include <vector>

#include "api/types.h"
#include "mokume/v1/inference.pb.h"

namespace mokume {

/// The same code and message; the message is cut where it would no longer fit a client's header
/// limit.
grpc::Status to_grpc(const Status& status);

/// InvalidArgument when `bytes` holds no Message, or a string in it is not UTF-8. (The library's
/// own decoding would answer such a request with UNIMPLEMENTED and no message; hence the handlers
/// take bytes.)
template <typename Message>
Status parse(const grpc::ByteBuffer& bytes, Message& message) {
  grpc::ByteBuffer copy(bytes);  // shares the slices
  grpc::ProtoBufferReader reader(&copy);
  if (reader.status().ok() && message.ParseFromZeroCopyStream(&reader)) return absl::OkStatus();
  return invalid_argument("grpc", "the request is no ", Message::descriptor()->full_name(),
                          ", or a string in it is not UTF-8");
}

template <typename Message>
grpc::ByteBuffer serialize(const Message& message) {
  grpc::ByteBuffer bytes;
  {
    const int block = 1 << 20;
    grpc::ProtoBufferWriter writer(&bytes, block, static_cast<int>(message.ByteSizeLong()));
    message.SerializeToZeroCopyStream(&writer);
  }
  return bytes;
}

/// A call's deadline on the clock that the engine looks at; empty when it is more than a year away.
std::optional<std::chrono::steady_clock::time_point> steady_deadline(gpr_timespec deadline);

/// Numbers pass as they came: api checks them. InvalidArgument only for what api types cannot say.
Result<CompletionRequest> decode(const v1::GenerateRequest& request);
Result<ChatRequest> decode(const v1::ChatRequest& request);

/// Response is v1::GenerateResponse or v1::ChatResponse, which have the same fields.
template <typename Response>
grpc::ByteBuffer encode_event(const TextEvent& event);
extern template grpc::ByteBuffer encode_event<v1::GenerateResponse>(const TextEvent& event);
extern template grpc::ByteBuffer encode_event<v1::ChatResponse>(const TextEvent& event);

v1::ListModelsResponse encode(const std::vector<ModelInfo>& models);

}  // namespace mokume
