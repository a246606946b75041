// The daemon: reads the configuration, wires the parts, serves until a signal, drains.
#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <thread>

#include "api/service.h"
#include "base/log.h"
#include "base/text.h"
#include "grpc/grpc_server.h"
#include "http/metrics.h"
#include "http/server.h"
#include "mokume/version.h"
#include "runtime/runtime.h"

namespace mokume {
namespace {

// What is left of answers after draining: their last bytes on the way to the client.
constexpr std::chrono::milliseconds kFlushTime{2'000};

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

int wait_for_signal() {
  const sigset_t set = stop_signals();
  int signal = 0;
  sigwait(&set, &signal);
  return signal;
}

std::string model_name(const ModelConfig& model) {
  return model.name.empty() ? std::filesystem::path(model.path).stem().string() : model.name;
}

Result<Runtime> load(const Config& config) {
  RuntimeOptions options;
  options.progress = [quarter = 0](int done, int total) mutable {
    if (done * 4 / total == quarter) return;
    quarter = done * 4 / total;
    log().info("loading: {} of {} layers", done, total);
  };
  const auto start = std::chrono::steady_clock::now();
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load_runtime(config, options));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  for (const auto& device : runtime.devices) {
    log().info("device {}: {}, {}", device->info().name, device->info().kind,
               device->info().description);
  }
  uint64_t bytes = 0;
  for (const auto& stage : runtime.stages) bytes += stage->memory_bytes();
  log().info("{} loaded in {:.2f} s: {} layers in {} stages, {}", config.model.path, took.count(),
             runtime.spec().layers.size(), runtime.stages.size(), format_bytes(bytes));
  return runtime;
}

EngineObserver observer(Metrics& metrics) {
  return {[&metrics](double seconds) { metrics.observe_time_to_first_token(seconds); },
          [&metrics](double seconds) { metrics.observe_time_between_tokens(seconds); }};
}

// A template that cannot be read costs the chat routes, not the model.
std::shared_ptr<const ChatTemplate> chat_template(const LoadedModel& loaded) {
  if (loaded.chat_template.empty() || !loaded.tokenizer) return nullptr;
  auto parsed = ChatTemplate::parse(loaded.chat_template);
  if (parsed.ok()) return *parsed;
  log().warn("the model's chat template cannot be used, so there is no chat: {}",
             std::string(parsed.status().message()));
  return nullptr;
}

ServiceParts service_parts(const Runtime& runtime, Engine& engine) {
  ServiceParts parts;
  parts.info.name = model_name(runtime.config.model);
  parts.info.architecture = runtime.spec().architecture;
  parts.info.created = static_cast<int64_t>(std::time(nullptr));
  parts.info.context_length = runtime.plan.context_length;
  parts.info.vocab_size = runtime.spec().vocab_size;
  parts.info.has_tokenizer = runtime.loaded.tokenizer != nullptr;
  parts.tokenizer = runtime.loaded.tokenizer;
  parts.chat_template = chat_template(runtime.loaded);
  parts.info.has_chat_template = parts.chat_template != nullptr;
  parts.engine = &engine;
  return parts;
}

/// The front ends that the configuration asks for.
struct FrontEnds {
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<GrpcServer> grpc;

  Status start(const ServerConfig& config, Service& service, const Metrics& metrics) {
    if (config.http) {
      HttpOptions options;
      options.host = config.http->host;
      options.port = config.http->port;
      options.max_request_bytes = config.max_request_bytes;
      options.threads = config.http_threads;
      MKM_ASSIGN_OR_RETURN(http, HttpServer::start(options, service, metrics));
      log().info("HTTP on {}", ListenAddress{config.http->host, http->port()}.to_string());
    }
    if (config.grpc) {
      GrpcOptions options;
      options.host = config.grpc->host;
      options.port = config.grpc->port;
      options.max_request_bytes = static_cast<int64_t>(config.max_request_bytes);
      MKM_ASSIGN_OR_RETURN(grpc, GrpcServer::start(options, service));
      log().info("gRPC on {}", ListenAddress{config.grpc->host, grpc->port()}.to_string());
    }
    return absl::OkStatus();
  }

  void stop() {
    if (http) http->stop(kFlushTime);
    if (grpc) grpc->stop(kFlushTime);
  }
};

// Readiness goes first, so that balancers look elsewhere; then what runs may finish.
void drain(Service& service, FrontEnds& front_ends, Engine& engine, int seconds) {
  service.set_ready(false);
  if (front_ends.grpc) front_ends.grpc->set_serving(false);
  std::thread([] {
    wait_for_signal();
    log().warn("second signal: leaving at once");
    std::_Exit(EXIT_FAILURE);
  }).detach();
  engine.drain(std::chrono::seconds(seconds));
  front_ends.stop();
}

Status serve(const Config& config) {
  if (!config.server) {
    return invalid_argument("mokumed", config.file,
                            " has no section \"server\", so there is nothing to serve");
  }
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load(config));
  Metrics metrics;
  MKM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                       make_engine(runtime, observer(metrics)));
  const std::unique_ptr<Service> service = Service::create(service_parts(runtime, *engine));
  service->set_ready(true);
  FrontEnds front_ends;
  MKM_RETURN_IF_ERROR(front_ends.start(*config.server, *service, metrics));
  log().info("serving {}", model_name(config.model));
  log().info("{}: draining for up to {} s", wait_for_signal() == SIGINT ? "SIGINT" : "SIGTERM",
             config.server->drain_seconds);
  drain(*service, front_ends, *engine, config.server->drain_seconds);
  log().info("stopped");
  return absl::OkStatus();
}

Status check(const Config& config) {
  MKM_ASSIGN_OR_RETURN(const Runtime runtime, plan_runtime(config, false));
  std::cout << to_string(runtime.plan, runtime.spec());
  return absl::OkStatus();
}

/// A simulated device answers right, thousands of times slower than what it stands for: nobody
/// should serve from one unawares.
Status refuse_simulated(const Config& config) {
  for (const DeviceConfig& device : config.devices) {
    if (device.kind != "cuda-sim") continue;
    return invalid_argument("mokumed", "device ", device.name,
                            " is simulated, which is for tests only; give --allow-simulated to "
                            "serve from it all the same (",
                            device.where.to_string(), ")");
  }
  return absl::OkStatus();
}

Status run(const std::string& path, bool check_only, bool allow_simulated) {
  MKM_ASSIGN_OR_RETURN(const Config config, load_config(path));
  if (!allow_simulated) MKM_RETURN_IF_ERROR(refuse_simulated(config));
  MKM_RETURN_IF_ERROR(init_logging(config.log.level, config.log.format));
  return check_only ? check(config) : serve(config);
}

int main(int argc, char** argv) {
  CLI::App app("mokumed: serves a language model whose layers lie on several devices");
  std::string config;
  bool check_only = false, allow_simulated = false;
  app.add_option("--config", config, "Configuration file (YAML)")->required();
  app.add_flag("--check", check_only,
               "Check the configuration and print the placement, without serving");
  app.add_flag("--allow-simulated", allow_simulated,
               "Serve from simulated devices, too (kind cuda-sim), for tests");
  app.set_version_flag("--version", kVersion);
  CLI11_PARSE(app, argc, argv);

  // Before any thread is made: all inherit the mask, and only wait_for_signal() takes the signals.
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const Status status = run(config, check_only, allow_simulated);
  if (status.ok()) return EXIT_SUCCESS;
  std::cerr << "mokumed: " << status.message() << '\n';
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace mokume

int main(int argc, char** argv) { return mokume::main(argc, argv); }
