#include "http/server.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "http/session_set.h"
#include "http/wire.h"

namespace mokume {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// How long to wait when the process has no file descriptor left for a connection.
constexpr std::chrono::milliseconds kAcceptPause{50};
/// How long cancelled connections may take to end.
constexpr std::chrono::seconds kCloseLimit{10};

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(HttpOptions options, Service& service, const Metrics& metrics)
      : options_(std::move(options)),
        router_(service, metrics),
        io_(options_.threads),
        workers_(static_cast<size_t>(options_.worker_threads)),
        work_(asio::make_work_guard(io_)),
        acceptor_(asio::make_strand(io_)),
        context_{options_, router_, workers_} {}

  ~HttpServerImpl() override { stop(std::chrono::milliseconds(0)); }

  Status listen();
  void run();
  uint16_t port() const override { return port_; }
  void stop_accepting() override;
  void stop(std::chrono::milliseconds grace) override;

 private:
  asio::awaitable<void> accept_loop();
  void serve(tcp::socket socket);
  void reject(tcp::socket socket);

  const HttpOptions options_;
  Router router_;
  SessionSet sessions_;
  asio::io_context io_;  // outlives the workers: what they drop may hold sockets of it
  asio::thread_pool workers_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  tcp::acceptor acceptor_;
  SessionContext context_;
  std::vector<std::thread> threads_;
  uint16_t port_ = 0;
};

Status HttpServerImpl::listen() {
  const auto failed = [&](const error_code& error) {
    return unavailable("http", "cannot listen on ", options_.host, ":", options_.port, ": ",
                       error.message());
  };
  error_code error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(options_.host, std::to_string(options_.port), tcp::resolver::passive, error);
  if (error || found.empty()) return failed(error);
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed(error);
  port_ = acceptor_.local_endpoint(error).port();
  return error ? failed(error) : Status();
}

void HttpServerImpl::run() {
  asio::co_spawn(
      acceptor_.get_executor(), [this] { return accept_loop(); }, asio::detached);
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { io_.run(); });
}

asio::awaitable<void> HttpServerImpl::accept_loop() {
  asio::steady_timer pause(acceptor_.get_executor());
  while (acceptor_.is_open()) {
    error_code error;
    tcp::socket socket(asio::make_strand(io_));
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (!acceptor_.is_open()) co_return;
    if (error) {
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    } else if (sessions_.size() >= static_cast<size_t>(options_.max_connections)) {
      reject(std::move(socket));
    } else {
      serve(std::move(socket));
    }
  }
}

void HttpServerImpl::serve(tcp::socket socket) {
  const uint64_t place = sessions_.begin();
  const auto session =
      Session::create(std::move(socket), context_, [this, place] { sessions_.end(place); });
  sessions_.set(place, session);
  session->start();
}

void HttpServerImpl::reject(tcp::socket socket) {
  const Reply reply = error_reply(unavailable("http", "there are too many connections"));
  const std::string bytes = format_reply(reply, false, false);
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(bytes), ignored);
}

void HttpServerImpl::stop_accepting() {
  if (context_.stopping.exchange(true)) return;
  asio::post(acceptor_.get_executor(), [this] {
    error_code ignored;
    acceptor_.close(ignored);
    for (const auto& session : sessions_.all()) session->close_when_idle();
  });
}

void HttpServerImpl::stop(std::chrono::milliseconds grace) {
  if (threads_.empty()) return;
  stop_accepting();
  if (!sessions_.wait_empty(grace)) {
    for (const auto& session : sessions_.all()) session->close_now();
    sessions_.wait_empty(kCloseLimit);
  }
  work_.reset();
  io_.stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  workers_.stop();
  workers_.join();
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpOptions options, Service& service,
                                                      const Metrics& metrics) {
  options.threads = std::max(options.threads, 1);
  options.worker_threads = std::max(options.worker_threads, 1);
  try {
    auto server = std::make_unique<HttpServerImpl>(std::move(options), service, metrics);
    MKM_RETURN_IF_ERROR(server->listen());
    server->run();
    return server;
  } catch (const std::exception& error) {  // no thread or no epoll to be had
    return internal_error("http", "cannot start: ", error.what());
  }
}

}  // namespace mokume
