// One streaming answer: the engine pushes events in, gRPC takes messages out.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "api/types.h"

namespace mokume {

/// Lifetime: the stream holds itself until OnDone, gRPC's last word; the api holds it for as long
/// as it likes, and a push after the end is refused. gRPC is only ever called by whoever has set
/// busy_, so there is one write at a time and nothing after the end; and never with mutex_ held,
/// because it may call back from the same thread.
class EventStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public EventSink {
 public:
  using Encode = grpc::ByteBuffer (*)(const TextEvent&);
  using Submit = std::function<Result<std::shared_ptr<Call>>(std::shared_ptr<EventSink>)>;

  /// Events that may wait for the reader; at one more, the call ends with RESOURCE_EXHAUSTED.
  static constexpr size_t kMaxQueued = 4096;

  /// Submits the call; the reactor that it returns is what a method handler returns.
  static EventStream* start(Encode encode, const Submit& submit);

  bool push(TextEvent event) override;

 private:
  explicit EventStream(Encode encode) : encode_(encode) {}

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  /// Locked: takes the event in. False when the reader is too slow.
  bool enqueue(TextEvent event);
  /// Locked: refuses all further events; unless it has one already, `outcome` is the call's.
  void close(Status outcome);
  /// Locked: the call was never accepted, and what has been pushed is void.
  void reject(Status error);
  /// Starts the next write, or ends the call, or sets busy_ free. Only for who has set busy_.
  void advance();
  /// Nobody reads any more: drops what is queued, cancels the call and sets busy_. Returns what
  /// busy_ was.
  bool abandon();

  const Encode encode_;
  std::mutex mutex_;
  std::deque<TextEvent> queue_;
  bool busy_ = false;    ///< somebody calls gRPC, a write is in flight, or the end has been sent
  bool closed_ = false;  ///< no more events; the call ends when queue_ is empty
  Status outcome_;
  std::shared_ptr<Call> call_;
  std::shared_ptr<EventStream> self_;
  grpc::ByteBuffer message_;  ///< being written; belongs to who has set busy_
};

}  // namespace mokume
