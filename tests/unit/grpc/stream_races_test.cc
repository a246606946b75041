// Every interleaving that threads come up with, without gRPC's own threads: a stand-in for its
// writer, all of it seen by ThreadSanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "grpc/event_stream.h"
#include "grpc/wire.h"

namespace mokume {
namespace {

/// What the library promises: one reaction for each write, OnDone when Finish was called and all
/// reactions have returned.
class FakeWriter final : public grpc::ServerCallbackWriter<grpc::ByteBuffer> {
 public:
  void bind(EventStream* stream) {
    reactor_ = stream;
    BindReactor(stream);
  }
  void Write(const grpc::ByteBuffer*, grpc::WriteOptions) override { ++written_, ++pending_; }
  void WriteAndFinish(const grpc::ByteBuffer*, grpc::WriteOptions, grpc::Status status) override {
    ++written_;
    Finish(status);
  }
  void Finish(grpc::Status status) override {
    code_ = status.error_code();
    ++finished_;
  }
  void SendInitialMetadata() override {}

  /// The network's thread: completes writes, `fails_at` of which fails as all after it do, until
  /// Finish.
  void run(int fails_at) {
    int completed = 0;
    while (true) {
      const bool finished = finished_ > 0;
      if (pending_ > 0) {
        EXPECT_EQ(pending_--, 1) << "one write at a time";
        reactor_->OnWriteDone(completed++ < fails_at);
      } else if (finished) {
        return;
      } else {
        std::this_thread::yield();
      }
    }
  }
  void cancel() { reactor_->OnCancel(); }
  void done() { reactor_->OnDone(); }

  int written() const { return written_; }
  int finished() const { return finished_; }
  int code() const { return code_; }

 private:
  grpc::internal::ServerReactor* reactor() override { return reactor_; }
  void CallOnDone() override {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* reactor_ = nullptr;
  std::atomic<int> written_{0}, pending_{0}, finished_{0}, code_{-1};
};

struct CountingCall final : Call {
  explicit CountingCall(std::shared_ptr<EventSink> its_sink) : sink(std::move(its_sink)) {}
  void cancel() override { ++cancels; }
  Usage prompt_usage() const override { return {}; }
  std::shared_ptr<EventSink> sink;  // a cycle, as the api's calls make one
  std::atomic<int> cancels{0};
};

constexpr int kNever = 1 << 30;

/// One call: an engine that pushes `events`, the network, and a client that may cancel.
void race(int events, bool cancels, int fails_at, unsigned seed) {
  FakeWriter writer;
  std::weak_ptr<EventSink> remains;
  std::shared_ptr<CountingCall> call;
  std::atomic<int> pushed{0};
  std::thread engine;
  EventStream* stream =
      EventStream::start(encode_event<v1::GenerateResponse>, [&](std::shared_ptr<EventSink> sink) {
        remains = sink;
        call = std::make_shared<CountingCall>(sink);
        engine = std::thread([&pushed, events, sink = std::move(sink)] {
          for (int i = 0; i < events; ++i) {
            TextEvent event;
            event.all_finished = i == events - 1;
            if (event.all_finished) event.finish = FinishReason::kStop;
            if (!sink->push(std::move(event))) break;
            ++pushed;
          }
          sink->push(TextEvent());  // after the end: refused, or the stream's sanity is gone
        });
        return Result<std::shared_ptr<Call>>(call);
      });
  writer.bind(stream);
  std::thread network([&] { writer.run(fails_at); });
  if (cancels) {
    for (unsigned i = 0; i < seed % 50; ++i) std::this_thread::yield();
    writer.cancel();
  }
  network.join();
  writer.done();  // the engine may still be pushing
  engine.join();
  EXPECT_EQ(writer.finished(), 1);
  if (!cancels && fails_at == kNever) {
    EXPECT_EQ(pushed, events);
    EXPECT_EQ(writer.written(), events);
    EXPECT_EQ(writer.code(), grpc::StatusCode::OK);
    EXPECT_EQ(call->cancels, 0);
  }
  if (cancels) {
    EXPECT_GE(call->cancels, 1);
  }
  call.reset();
  EXPECT_TRUE(remains.expired()) << "the stream let go of its call and of itself";
}

TEST(StreamRaces, UndisturbedCallsArriveWhole) {
  for (unsigned seed = 0; seed < 300; ++seed)
    race(1 + static_cast<int>(seed % 40), false, kNever, seed);
}

TEST(StreamRaces, CancelledAtAnyMoment) {
  for (unsigned seed = 0; seed < 600; ++seed)
    race(1 + static_cast<int>(seed % 40), true, kNever, seed);
}

TEST(StreamRaces, WritesFailAtAnyMoment) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    race(1 + static_cast<int>(seed % 40), seed % 2 == 0, static_cast<int>(seed % 7), seed);
  }
}

}  // namespace
}  // namespace mokume
