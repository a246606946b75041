// One HTTP connection, from accept to close.
#pragma once

// clang-format off
#include <utility>  // the coroutine headers of Asio 1.74 need it and do not include it
// clang-format on
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "http/router.h"
#include "http/server.h"

namespace mokume {

/// What all sessions of a server share. Outlives every session.
struct SessionContext {
  const HttpOptions& options;
  Router& router;
  boost::asio::thread_pool& workers;
  std::atomic<bool> stopping = false;  ///< close connections once their answer is sent
};

/// All its work is done on the socket's executor, which must be a strand.
class Session {
 public:
  virtual ~Session() = default;
  /// `on_end` is called from the destructor.
  static std::shared_ptr<Session> create(boost::asio::ip::tcp::socket socket,
                                         SessionContext& context, std::function<void()> on_end);

  /// Begins to serve; the session keeps itself alive until the connection is closed.
  virtual void start() = 0;
  /// Thread-safe: closes the connection if it waits for a request, or else after the answer.
  virtual void close_when_idle() = 0;
  /// Thread-safe: cancels what runs and closes.
  virtual void close_now() = 0;
};

}  // namespace mokume
