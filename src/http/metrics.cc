#include "http/metrics.h"

#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

namespace mokume {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

/// Adds one family of gauges or counters to what the registry collected.
class Families {
 public:
  explicit Families(std::vector<MetricFamily>& families) : families_(families) {}

  void begin(const char* name, const char* help, MetricType type) {
    families_.push_back({name, help, type, {}});
  }
  void add(double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (families_.back().type == MetricType::Gauge) {
      metric.gauge.value = value;
    } else {
      metric.counter.value = value;
    }
    families_.back().metric.push_back(std::move(metric));
  }
  void gauge(const char* name, const char* help, double value) {
    begin(name, help, MetricType::Gauge);
    add(value);
  }
  void counter(const char* name, const char* help, double value) {
    begin(name, help, MetricType::Counter);
    add(value);
  }

 private:
  std::vector<MetricFamily>& families_;
};

void add_stats(const EngineStats& stats, Families families) {
  families.gauge("mokume_requests_queued", "Requests accepted and waiting", stats.queued);
  families.gauge("mokume_requests_running", "Requests being generated", stats.running);
  families.gauge("mokume_kv_pages_used", "KV cache pages in use", stats.kv_pages_used);
  families.gauge("mokume_kv_pages_total", "KV cache pages", stats.kv_pages_total);
  families.counter("mokume_prompt_tokens_total", "Prompt tokens processed", stats.prompt_tokens);
  families.counter("mokume_generated_tokens_total", "Tokens generated", stats.generated_tokens);
  families.counter("mokume_preemptions_total", "Sequences put back for lack of KV pages",
                   stats.preemptions);
  families.counter("mokume_steps_total", "Steps of the engine", stats.steps);
  families.begin("mokume_requests_total", "Requests that have ended", MetricType::Counter);
  families.add(stats.requests_finished, {{"outcome", "finished"}});
  families.add(stats.requests_cancelled, {{"outcome", "cancelled"}});
  families.add(stats.requests_failed, {{"outcome", "failed"}});
  if (stats.stage_names.empty()) return;
  families.begin("mokume_stage_busy_seconds_total", "Time a stage was computing",
                 MetricType::Counter);
  for (size_t i = 0; i < stats.stage_names.size() && i < stats.stage_busy_seconds.size(); ++i) {
    families.add(stats.stage_busy_seconds[i], {{"stage", stats.stage_names[i]}});
  }
}

}  // namespace

struct Metrics::Histograms {
  prometheus::Registry registry;
  prometheus::Histogram& first_token;
  prometheus::Histogram& between_tokens;

  Histograms()
      : first_token(
            prometheus::BuildHistogram()
                .Name("mokume_time_to_first_token_seconds")
                .Help("From a request's acceptance to its first token")
                .Register(registry)
                .Add({}, prometheus::Histogram::BucketBoundaries{0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                                 1, 2.5, 5, 10, 25, 50, 100})),
        between_tokens(prometheus::BuildHistogram()
                           .Name("mokume_time_between_tokens_seconds")
                           .Help("Between two tokens of a request")
                           .Register(registry)
                           .Add({}, prometheus::Histogram::BucketBoundaries{
                                        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                        2.5, 5})) {}
};

Metrics::Metrics() : histograms_(std::make_unique<Histograms>()) {}
Metrics::~Metrics() = default;

void Metrics::observe_time_to_first_token(double seconds) {
  histograms_->first_token.Observe(seconds);
}
void Metrics::observe_time_between_tokens(double seconds) {
  histograms_->between_tokens.Observe(seconds);
}

std::string Metrics::render(const EngineStats& stats) const {
  std::vector<MetricFamily> families = histograms_->registry.Collect();
  add_stats(stats, Families(families));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace mokume
