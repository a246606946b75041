// Calls with hand-made bytes: requests that no generated code would send, and services whose .proto
// is not here.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

namespace mokume {

inline grpc::ByteBuffer to_buffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

inline std::string to_string(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (buffer.Valid() && buffer.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices)
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

struct RawReply {
  grpc::Status status;
  std::string bytes;  ///< of the first message
};

/// Sends one message to `method` ("/package.Service/Method") and takes one back; good for every
/// kind of method.
inline RawReply raw_call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                         const std::string& request) {
  RawReply reply;
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer answer;
  if (ok) {
    call->WriteLast(to_buffer(request), grpc::WriteOptions(), nullptr);
    queue.Next(&tag, &ok);
    call->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
    if (ok) reply.bytes = to_string(answer);
    while (ok) {
      call->Read(&answer, nullptr);
      queue.Next(&tag, &ok);
    }
  }
  call->Finish(&reply.status, nullptr);
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return reply;
}

}  // namespace mokume
