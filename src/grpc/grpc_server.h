// The gRPC front end: proto/mokume/v1 on the wire, api types behind it. Nothing else happens here:
// no validation beyond what the wire format needs, no defaults, no limits but those of the
// transport.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "api/service.h"
#include "base/status.h"

namespace mokume {

struct GrpcOptions {
  std::string host = "127.0.0.1";       ///< a name or an address; IPv6 with or without brackets
  uint16_t port = 50051;                ///< 0: any free one
  int64_t max_request_bytes = 8 << 20;  ///< of one message, [1, 2^31); more is RESOURCE_EXHAUSTED
};

/// Serves mokume.v1.InferenceService, grpc.health.v1.Health and server reflection, without TLS.
class GrpcServer {
 public:
  /// Listens, and serves on gRPC's own threads. `service` outlives the server. The health of "" and
  /// of "mokume.v1.InferenceService" begins as service.ready(). Errors: InvalidArgument
  /// (max_request_bytes), Unavailable (the address cannot be listened on).
  static Result<std::unique_ptr<GrpcServer>> start(GrpcOptions options, Service& service);
  ~GrpcServer();  ///< stop(0)

  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  uint16_t port() const;
  /// What health checks answer: SERVING or NOT_SERVING. Thread-safe. Calls are served all the same.
  void set_serving(bool serving);
  /// Takes no new calls, lets running ones go on for `grace`, cancels the rest, and returns when
  /// all have ended. Health answers NOT_SERVING from here on. Does nothing the second time.
  void stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mokume
