#include "engine/engine.h"

#include <algorithm>
#include <new>
#include <system_error>
#include <thread>

#include "engine/engine_loop.h"
#include "engine/mailbox.h"
#include "engine/pipeline.h"
#include "engine/validate.h"

namespace mokume {
namespace {

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(const EngineOptions& options)
      : options_(options),
        max_positions_(static_cast<int>(std::min<int64_t>(
            options.context_length, int64_t{options.kv_pages} * options.page_tokens))),
        mailbox_(static_cast<size_t>(options.max_sequences) +
                 static_cast<size_t>(options.max_queue)) {}

  ~EngineImpl() override {
    mailbox_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status start(std::vector<std::unique_ptr<Stage>> stages, std::vector<std::string> names,
               EngineObserver observer) {
    const PipelineShape shape{.max_tokens = options_.prefill_chunk_tokens + options_.max_sequences,
                              .max_logit_rows = options_.max_sequences,
                              .hidden_size = options_.hidden_size,
                              .vocab_size = options_.vocab_size};
    auto done = [this](int slot, Status status) { mailbox_.post({slot, std::move(status)}); };
    MKM_ASSIGN_OR_RETURN(
        pipeline_, Pipeline::create(std::move(stages), std::move(names), shape, std::move(done)));
    try {
      loop_ = std::make_unique<EngineLoop>(options_, mailbox_, *pipeline_, std::move(observer));
      thread_ = std::thread([this] { loop_->run(); });
    } catch (const std::bad_alloc&) {
      return resource_exhausted("engine", "no memory for the books of ", options_.kv_pages,
                                " pages");
    } catch (const std::system_error& error) {
      return resource_exhausted("engine", "no thread: ", error.what());
    }
    return {};
  }

  Status submit(Request request, std::shared_ptr<TokenSink> sink) override {
    if (!sink) return invalid_argument("engine", "a request needs a sink");
    MKM_RETURN_IF_ERROR(validate_request(request, options_.vocab_size, max_positions_));
    return mailbox_.submit(std::move(request), std::move(sink));
  }

  void cancel(RequestId id) override { mailbox_.cancel(id); }

  void drain(std::chrono::milliseconds limit) override {
    constexpr std::chrono::milliseconds kMost =
        std::chrono::hours(24 * 365);  // what a clock can add up
    mailbox_.close();
    if (mailbox_.wait_finished(Clock::now() +
                               std::clamp(limit, std::chrono::milliseconds(0), kMost)))
      return;
    mailbox_.cancel_all();
    mailbox_.wait_finished();
  }

  EngineStats stats() const override {
    EngineStats stats = loop_->stats();
    stats.queued += mailbox_.pending();
    stats.stage_names = pipeline_->names();
    stats.stage_busy_seconds = pipeline_->busy_seconds();
    return stats;
  }

 private:
  const EngineOptions options_;
  const int max_positions_;
  Mailbox mailbox_;  // outlives the stages, whose workers post to it
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<EngineLoop> loop_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(EngineOptions options,
                                               std::vector<std::unique_ptr<Stage>> stages,
                                               std::vector<std::string> stage_names,
                                               EngineObserver observer) {
  MKM_RETURN_IF_ERROR(validate_options(options, stages.size(), stage_names.size()));
  auto engine = std::make_unique<EngineImpl>(options);
  MKM_RETURN_IF_ERROR(
      engine->start(std::move(stages), std::move(stage_names), std::move(observer)));
  return engine;
}

}  // namespace mokume
