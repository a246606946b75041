#include "grpc/grpc_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <limits>
#include <mutex>
#include <utility>

#include "grpc/inference_handlers.h"
#include "mokume/v1/inference.grpc.pb.h"

namespace mokume {
namespace {

constexpr int kMaxStreamsPerConnection = 4096;
/// Reflection, unlike all else here, takes a thread per open stream.
constexpr int kMaxThreads = 32;
/// A client whose machine has vanished is noticed within the sum of both.
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;

/// What gRPC and protobuf keep once for the whole process.
void set_up_libraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // It would write a line to stderr for every string of a client that is not UTF-8.
    google::protobuf::SetLogHandler(nullptr);
  });
}

std::string address_of(const GrpcOptions& options) {
  const bool bare_ipv6 = options.host.find(':') != std::string::npos && options.host.front() != '[';
  return absl::StrCat(bare_ipv6 ? "[" : "", options.host, bare_ipv6 ? "]" : "", ":", options.port);
}

void set_limits(const GrpcOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_request_bytes));
  builder.SetResourceQuota(grpc::ResourceQuota("mokume").SetMaxThreads(kMaxThreads));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  // Two daemons on one port would share its connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace

struct GrpcServer::Impl {
  std::unique_ptr<grpc::Service> handlers;
  std::unique_ptr<grpc::Server> server;  // goes first: its calls use the handlers
  int port = 0;
};

Result<std::unique_ptr<GrpcServer>> GrpcServer::start(GrpcOptions options, Service& service) {
  if (options.max_request_bytes < 1 ||
      options.max_request_bytes > std::numeric_limits<int>::max()) {
    return invalid_argument("grpc", "max_request_bytes is ", options.max_request_bytes,
                            ", not between 1 and 2147483647");
  }
  set_up_libraries();
  auto impl = std::make_unique<Impl>();
  impl->handlers = make_inference_handlers(service);

  grpc::ServerBuilder builder;
  set_limits(options, builder);
  const std::string address = address_of(options);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &impl->port);
  builder.RegisterService(impl->handlers.get());
  impl->server = builder.BuildAndStart();
  if (!impl->server || impl->port == 0) {
    return unavailable("grpc", "cannot listen on ", address,
                       ": it is no address of this machine, or the port is taken");
  }
  std::unique_ptr<GrpcServer> server(new GrpcServer(std::move(impl)));
  server->set_serving(service.ready());
  return server;
}

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() { stop(std::chrono::milliseconds(0)); }

uint16_t GrpcServer::port() const { return static_cast<uint16_t>(impl_->port); }

void GrpcServer::set_serving(bool serving) {
  grpc::HealthCheckServiceInterface* health = impl_->server->GetHealthCheckService();
  health->SetServingStatus(v1::InferenceService::service_full_name(), serving);
  health->SetServingStatus(serving);  // of all that are known, "" among them
}

void GrpcServer::stop(std::chrono::milliseconds grace) {
  impl_->server->GetHealthCheckService()->Shutdown();
  impl_->server->Shutdown(std::chrono::system_clock::now() + grace);
}

}  // namespace mokume
