// A daemon's engine over a CPU, a simulated GPU that fails and a CPU: the requests concerned hear
// of it, and the rest goes on.
#include <gtest/gtest.h>

#include <future>

#include "runtime/runtime.h"

namespace mokume {
namespace {

class Sink final : public TokenSink {
 public:
  Verdict on_token(const TokenEvent& event) override {
    tokens.push_back(event.id);
    return Verdict::kContinue;
  }
  void on_finish(const FinishEvent& event) override { finished.set_value(event); }

  std::vector<TokenId> tokens;
  std::promise<FinishEvent> finished;
};

class CudaFaults : public testing::Test {
 protected:
  ~CudaFaults() override { engine.reset(); }  // before what it runs on

  Status start(const std::string& fault) {
    engine.reset();
    runtime = {};
    const std::string yaml =
        "model: {path: " MOKUME_SOURCE_DIR
        "/tests/data/gguf/tiny-llama.gguf}\n"
        "devices:\n"
        "  - {name: cpu0, kind: cpu, threads: 1}\n"
        "  - {name: gpu0, kind: cuda-sim" +
        (fault.empty() ? "" : ", fault: " + fault) +
        "}\n"
        "placement:\n"
        "  stages:\n"
        "    - {device: cpu0, layers: 0}\n"
        "    - {device: gpu0, layers: 1-2}\n"
        "    - {device: cpu0, layers: 3}\n"
        "scheduler: {max_sequences: 2, prefill_chunk_tokens: 16, kv_cache: {memory: 1MiB}}\n";
    MKM_ASSIGN_OR_RETURN(const Config config, parse_config(yaml, "f.yaml"));
    MKM_ASSIGN_OR_RETURN(runtime, load_runtime(config, {}));
    MKM_ASSIGN_OR_RETURN(engine, make_engine(runtime, {}));
    return absl::OkStatus();
  }

  struct Answer {
    std::vector<TokenId> tokens;
    Status status;
  };
  Answer ask() {
    const auto sink = std::make_shared<Sink>();
    Request request;
    request.id = ++requests;
    request.prompt = {5, 6, 7};
    request.sampling.temperature = 0;
    request.max_tokens = 3;
    const Status submitted = engine->submit(request, sink);
    EXPECT_TRUE(submitted.ok()) << submitted;
    const FinishEvent event = sink->finished.get_future().get();
    EXPECT_EQ(event.reason == FinishReason::kError, !event.status.ok());
    return {sink->tokens, event.status};
  }

  /// Fails the 1st, 2nd, ... of a kind, until a request has met each of its own.
  void at_every_n(const std::string& kind, bool loses) {
    ASSERT_TRUE(start("").ok());
    const Answer want = ask();
    ASSERT_TRUE(want.status.ok()) << want.status;
    ASSERT_EQ(want.tokens.size(), 3u);
    int loads = 0, answers = 0;
    for (int n = 1;; ++n) {
      SCOPED_TRACE(n);
      const Status loaded = start(kind + " " + std::to_string(n));
      if (!loaded.ok()) {
        EXPECT_NE(loaded.message().find("device gpu0"), std::string::npos) << loaded;
        ++loads;
        continue;
      }
      const Answer met = ask();
      if (met.status.ok()) break;
      ++answers;
      EXPECT_NE(met.status.message().find("stage 1:gpu0 failed"), std::string::npos);
      EXPECT_NE(met.status.message().find("device gpu0"), std::string::npos) << met.status;
      const Answer next = ask();
      EXPECT_EQ(next.status.code(), loses ? absl::StatusCode::kUnavailable : absl::StatusCode::kOk);
      EXPECT_EQ(next.tokens == want.tokens, !loses);
      EXPECT_EQ(engine->stats().kv_pages_used, 0);
    }
    EXPECT_EQ(loads > 0, kind != "asynchronous");  // loading launches nothing that runs
    EXPECT_GT(answers, 0);
  }

  Runtime runtime;
  std::unique_ptr<Engine> engine;
  RequestId requests = 0;
};

TEST_F(CudaFaults, RefusedLaunches) { at_every_n("launch", false); }

TEST_F(CudaFaults, RefusedCopies) { at_every_n("copy", false); }

TEST_F(CudaFaults, FailingKernels) { at_every_n("asynchronous", true); }

TEST_F(CudaFaults, ALostDevice) { at_every_n("lost", true); }

}  // namespace
}  // namespace mokume
