// The HTTP front end: OpenAI's API, tokenizing, health and metrics over HTTP/1.1.
//
// Non-goals: TLS, HTTP/2, authentication, CORS, compression. A proxy in front brings them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "api/service.h"
#include "base/status.h"
#include "http/event_queue.h"
#include "http/metrics.h"

namespace mokume {

struct HttpOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  ///< 0: any free one
  size_t max_request_bytes = 8u << 20;
  size_t max_header_bytes = 16u << 10;
  int threads = 2;  ///< for input and output
  int worker_threads =
      2;  ///< for JSON, chat templates and tokenizing, so that these hold up no stream
  int max_connections = 4096;  ///< further ones get 503
  std::chrono::milliseconds header_timeout{
      10'000};  ///< from a request's first byte to the end of its header
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};   ///< between two requests
  std::chrono::milliseconds write_timeout{30'000};  ///< for one write to be taken by the network
  EventQueue::Limits queue;
};

/// Its threads run from start() to stop().
class HttpServer {
 public:
  virtual ~HttpServer() = default;  ///< stops
  /// `service` and `metrics` outlive the server. Unavailable, with the address, when it cannot
  /// listen there.
  static Result<std::unique_ptr<HttpServer>> start(HttpOptions options, Service& service,
                                                   const Metrics& metrics);

  /// The port it listens on.
  virtual uint16_t port() const = 0;
  /// Accepts no further connection; those that wait for their next request are closed, running
  /// answers go on.
  virtual void stop_accepting() = 0;
  /// stop_accepting(), then waits up to `grace` for the answers that are being sent; cancels and
  /// closes what is left and joins all threads. Safe to call again.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace mokume
