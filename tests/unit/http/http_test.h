// A server on a free port over a FakeService.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "client.h"
#include "fake_service.h"
#include "http/server.h"

namespace mokume::testing {

inline const char* const kChatBody =
    R"({"model":"org/fake","messages":[{"role":"user","content":"hi"}]})";
inline const char* const kChatStreamBody =
    R"({"messages":[{"role":"user","content":"hi"}],"stream":true})";

class HttpTest : public ::testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    options.port = 0;
    auto started = HttpServer::start(options, service_, metrics_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }
  uint16_t port() const { return server_->port(); }

  /// Sends a chat request and leaves the response unread.
  static void send_chat(Client& client, std::string_view body) {
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
  }

  FakeService service_;
  Metrics metrics_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace mokume::testing
