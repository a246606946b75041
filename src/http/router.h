// Which path does what; knows no socket.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "api/service.h"
#include "http/answer.h"
#include "http/decode.h"
#include "http/metrics.h"
#include "http/reply.h"

namespace mokume {

struct HttpRequest {
  std::string method;  ///< "GET"
  std::string target;  ///< as it was sent, with the query
  std::string body;
};

/// A call that runs: its events reach the sink that was given to Router::handle.
struct Started {
  std::shared_ptr<Call> call;
  std::unique_ptr<Answer> answer;
  bool stream = false;
};

/// Thread-safe; may take as long as a chat template or a tokenizer takes.
class Router {
 public:
  /// Both outlive the router.
  Router(Service& service, const Metrics& metrics) : service_(service), metrics_(metrics) {}

  using Outcome = std::variant<Reply, Started>;
  /// `sink` is used only where the outcome is Started.
  Outcome handle(const HttpRequest& request, std::shared_ptr<EventSink> sink);

 private:
  Outcome get(std::string_view path) const;
  Outcome post(std::string_view path, const std::string& body, std::shared_ptr<EventSink> sink);
  Outcome chat(const std::string& body, std::shared_ptr<EventSink> sink);
  Outcome complete(const std::string& body, std::shared_ptr<EventSink> sink);
  Reply tokenize(const std::string& body) const;
  Reply detokenize(const std::string& body) const;
  Reply models() const;
  Reply model(const std::string& name) const;
  Reply health(bool ready) const;
  Reply metrics() const;
  AnswerInfo answer_info(const char* prefix, const GenerationOptions& options, size_t prompts,
                         const AnswerOptions& answer) const;

  Service& service_;
  const Metrics& metrics_;
};

}  // namespace mokume
