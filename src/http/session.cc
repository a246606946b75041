#include "http/session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <string>

#include "http/wire.h"

namespace mokume {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::redirect_error;
using asio::use_awaitable;
using boost::system::error_code;

/// Bytes of a next request that are kept while an answer is under way; a client that sends more is
/// not watched for its going any longer, writing to it will tell.
constexpr size_t kMaxReadAhead = 64u << 10;
/// After an error that leaves a request unread: how long and how much of it is read and dropped, so
/// that the client gets to read the answer before the connection resets.
constexpr std::chrono::seconds kLingerTime{2};
constexpr size_t kLingerBytes = 64u << 20;

struct IncomingRequest {
  HttpRequest request;
  bool keep_alive = false;
  bool head_only = false;
  bool chunked = true;  ///< the client understands chunks: HTTP/1.1
};

class SessionImpl final : public Session, public std::enable_shared_from_this<SessionImpl> {
 public:
  SessionImpl(asio::ip::tcp::socket socket, SessionContext& context, std::function<void()> on_end)
      : context_(context),
        options_(context.options),
        stream_(std::move(socket)),
        signal_(stream_.get_executor()),
        on_end_(std::move(on_end)) {}
  ~SessionImpl() override { on_end_(); }

  void start() override {
    asio::co_spawn(
        stream_.get_executor(), [self = shared_from_this()] { return self->run(); },
        asio::detached);
  }

  void close_when_idle() override {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      if (self->idle_) self->stream_.close();
    });
  }

  void close_now() override {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->gone();
      self->stream_.close();
    });
  }

 private:
  template <typename T = void>
  using awaitable = asio::awaitable<T>;

  awaitable<> run();
  awaitable<bool> serve_one();
  awaitable<bool> wait_for_request();
  awaitable<std::optional<IncomingRequest>> read_request();
  awaitable<> refuse(const error_code& error);
  awaitable<bool> answer(IncomingRequest incoming);
  awaitable<bool> answer_stream(Answer& answer, const IncomingRequest& incoming);
  awaitable<bool> answer_whole(Answer& answer, const IncomingRequest& incoming);
  awaitable<Router::Outcome> dispatch(HttpRequest request);
  awaitable<bool> send(std::string bytes);
  awaitable<bool> send_reply(const Reply& reply, const IncomingRequest& incoming);
  awaitable<> linger();

  void start_watch();
  awaitable<> watch();
  awaitable<> stop_watch();
  awaitable<> wait_signal();
  void on_wake();
  void gone();

  SessionContext& context_;
  const HttpOptions& options_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{2 * kMaxReadAhead};
  asio::steady_timer
      signal_;  ///< never expires; cancelling it wakes whoever waits for something to change
  std::shared_ptr<EventQueue> queue_;  ///< of the request being answered
  std::shared_ptr<Call> call_;
  std::function<void()> on_end_;
  bool idle_ = false;
  bool gone_ = false;  ///< the client has closed the connection, or the server wants to
  bool watching_ = false;
  bool stop_watching_ = false;
};

/// Closes a queue however its coroutine ends: afterwards the engine's thread touches this session
/// no more.
class QueueGuard {
 public:
  explicit QueueGuard(EventQueue& queue) : queue_(queue) {}
  ~QueueGuard() { queue_.close(); }
  QueueGuard(const QueueGuard&) = delete;
  QueueGuard& operator=(const QueueGuard&) = delete;

 private:
  EventQueue& queue_;
};

SessionImpl::awaitable<> SessionImpl::run() {
  try {
    error_code ignored;
    stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    while (co_await serve_one()) {
    }
    stream_.close();
  } catch (const std::exception&) {  // out of memory, say: this connection ends
    gone();
    stream_.close();
  }
}

SessionImpl::awaitable<bool> SessionImpl::serve_one() {
  if (!co_await wait_for_request()) co_return false;
  std::optional<IncomingRequest> incoming = co_await read_request();
  if (!incoming) co_return false;
  co_return co_await answer(*std::move(incoming));
}

/// True once the first bytes of a request are there.
SessionImpl::awaitable<bool> SessionImpl::wait_for_request() {
  if (buffer_.size() > 0) co_return true;
  if (context_.stopping) co_return false;
  idle_ = true;
  error_code error;
  stream_.expires_after(options_.idle_timeout);
  const size_t size =
      co_await stream_.async_read_some(buffer_.prepare(4096), redirect_error(use_awaitable, error));
  buffer_.commit(size);
  idle_ = false;
  co_return !error;
}

SessionImpl::awaitable<std::optional<IncomingRequest>> SessionImpl::read_request() {
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(options_.max_header_bytes));
  parser.body_limit(options_.max_request_bytes);
  error_code error;
  stream_.expires_after(options_.header_timeout);
  co_await http::async_read_header(stream_, buffer_, parser, redirect_error(use_awaitable, error));
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    if (!co_await send(std::string(kContinue))) co_return std::nullopt;
  }
  if (!error) {
    stream_.expires_after(options_.body_timeout);
    co_await http::async_read(stream_, buffer_, parser, redirect_error(use_awaitable, error));
  }
  if (error) {
    co_await refuse(error);
    co_return std::nullopt;
  }
  http::request<http::string_body> message = parser.release();
  IncomingRequest incoming;
  incoming.keep_alive = message.keep_alive();
  incoming.head_only = message.method() == http::verb::head;
  incoming.chunked = message.version() >= 11;
  incoming.request.method = std::string(message.method_string());
  incoming.request.target = std::string(message.target());
  incoming.request.body = std::move(message.body());
  co_return incoming;
}

/// Says what was wrong with a request that could not be read, where the client is still there to
/// hear it.
SessionImpl::awaitable<> SessionImpl::refuse(const error_code& error) {
  Reply reply;
  if (error == http::error::body_limit) {
    reply = http_error_reply(
        413, str_cat("the request body is larger than ", options_.max_request_bytes, " bytes"));
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    reply = http_error_reply(
        431, str_cat("the request header is larger than ", options_.max_header_bytes, " bytes"));
  } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    reply = http_error_reply(400, str_cat("the request is not valid HTTP: ", error.message()));
  } else {
    co_return;  // gone, or too slow: the connection is closed already
  }
  if (co_await send(format_reply(reply, false, false))) co_await linger();
}

SessionImpl::awaitable<> SessionImpl::linger() {
  error_code error;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  stream_.expires_after(kLingerTime);
  buffer_.clear();
  for (size_t total = 0; !error && total < kLingerBytes;) {
    total += co_await stream_.async_read_some(buffer_.prepare(kMaxReadAhead),
                                              redirect_error(use_awaitable, error));
  }
}

SessionImpl::awaitable<bool> SessionImpl::answer(IncomingRequest incoming) {
  queue_ = std::make_shared<EventQueue>(options_.queue, [this] {
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->on_wake(); });
  });
  const QueueGuard guard(*queue_);
  start_watch();
  Router::Outcome outcome = co_await dispatch(std::move(incoming.request));
  bool sent = false;
  if (Reply* reply = std::get_if<Reply>(&outcome)) {
    sent = co_await send_reply(*reply, incoming);
  } else {
    Started& started = std::get<Started>(outcome);
    call_ = started.call;
    sent = started.stream ? co_await answer_stream(*started.answer, incoming)
                          : co_await answer_whole(*started.answer, incoming);
    if (!started.answer->done() || started.answer->failed()) call_->cancel();
    call_.reset();
  }
  co_await stop_watch();
  co_return sent && !gone_ && incoming.keep_alive && !context_.stopping;
}

/// Routes `request` on a worker thread and comes back with the outcome.
SessionImpl::awaitable<Router::Outcome> SessionImpl::dispatch(HttpRequest request) {
  auto work = [](Router& router, HttpRequest r,
                 std::shared_ptr<EventSink> sink) -> awaitable<Router::Outcome> {
    try {
      co_return router.handle(r, std::move(sink));
    } catch (const std::exception& error) {
      co_return error_reply(internal_error("http", "the request failed: ", error.what()));
    }
  };
  co_return co_await asio::co_spawn(context_.workers.get_executor(),
                                    work(context_.router, std::move(request), queue_),
                                    use_awaitable);
}

SessionImpl::awaitable<bool> SessionImpl::answer_stream(Answer& answer,
                                                        const IncomingRequest& incoming) {
  const bool keep_alive = incoming.keep_alive && incoming.chunked && !context_.stopping;
  if (!co_await send(format_stream_head(keep_alive, incoming.chunked))) co_return false;
  while (!answer.done()) {
    if (gone_ || queue_->overflowed()) co_return false;
    const std::vector<TextEvent> events = queue_->drain();
    if (events.empty()) {
      co_await wait_signal();
      continue;
    }
    std::string data;
    for (const TextEvent& event : events) data += answer.stream(event);
    if (!data.empty() && !co_await send(format_chunk(data, incoming.chunked))) co_return false;
  }
  if (incoming.chunked && !co_await send(std::string(kLastChunk))) co_return false;
  co_return keep_alive && !answer.failed();
}

SessionImpl::awaitable<bool> SessionImpl::answer_whole(Answer& answer,
                                                       const IncomingRequest& incoming) {
  while (!answer.done()) {
    if (gone_ || queue_->overflowed()) co_return false;
    std::vector<TextEvent> events = queue_->drain();
    if (events.empty()) co_await wait_signal();
    for (TextEvent& event : events) answer.collect(std::move(event));
  }
  co_return co_await send_reply(answer.whole(), incoming);
}

SessionImpl::awaitable<bool> SessionImpl::send(std::string bytes) {
  error_code error;
  stream_.expires_after(options_.write_timeout);
  co_await asio::async_write(stream_, asio::buffer(bytes), redirect_error(use_awaitable, error));
  co_return !error;
}

SessionImpl::awaitable<bool> SessionImpl::send_reply(const Reply& reply,
                                                     const IncomingRequest& incoming) {
  const bool keep_alive = incoming.keep_alive && !context_.stopping;
  co_return co_await send(format_reply(reply, keep_alive, incoming.head_only));
}

void SessionImpl::start_watch() {
  watching_ = true;
  stop_watching_ = false;
  stream_.expires_never();
  asio::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->watch(); },
      asio::detached);
}

/// Reads while an answer is under way, so that the client's going is noticed at once.
SessionImpl::awaitable<> SessionImpl::watch() {
  error_code error;
  while (!stop_watching_ && !error && buffer_.size() < kMaxReadAhead) {
    const size_t size = co_await stream_.async_read_some(buffer_.prepare(4096),
                                                         redirect_error(use_awaitable, error));
    buffer_.commit(size);
  }
  if (error && !(stop_watching_ && error == asio::error::operation_aborted)) gone();
  watching_ = false;
  signal_.cancel();
}

SessionImpl::awaitable<> SessionImpl::stop_watch() {
  stop_watching_ = true;
  if (watching_) stream_.cancel();
  while (watching_) co_await wait_signal();
}

SessionImpl::awaitable<> SessionImpl::wait_signal() {
  error_code ignored;
  signal_.expires_at(asio::steady_timer::time_point::max());
  co_await signal_.async_wait(redirect_error(use_awaitable, ignored));
}

void SessionImpl::on_wake() {
  // A reader that is too slow holds a write up: closing the socket ends that.
  if (queue_ && queue_->overflowed()) stream_.close();
  signal_.cancel();
}

void SessionImpl::gone() {
  gone_ = true;
  if (call_) call_->cancel();
  signal_.cancel();
}

}  // namespace

std::shared_ptr<Session> Session::create(asio::ip::tcp::socket socket, SessionContext& context,
                                         std::function<void()> on_end) {
  return std::make_shared<SessionImpl>(std::move(socket), context, std::move(on_end));
}

}  // namespace mokume
