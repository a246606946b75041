// A plain blocking HTTP client on a socket, which can also misbehave.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mokume::testing {

struct Response {
  int status = 0;  ///< 0: the connection ended before a response
  std::string head;
  std::string body;  ///< chunks joined
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
};

class Client {
 public:
  explicit Client(uint16_t port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view bytes);
  /// Appends what comes within `limit_ms` to the buffer; false at the end of the connection or the
  /// limit.
  bool receive(int limit_ms = 5000);
  /// Receives until the buffer contains `text`.
  bool receive_until(std::string_view text, int limit_ms = 5000);
  Response read_response(bool head_only = false);
  Response request(std::string_view method, std::string_view target, std::string_view body = {},
                   std::string_view headers = {});
  Response post(std::string_view target, const nlohmann::json& body) {
    return request("POST", target, body.dump());
  }
  /// True when the other side closes within `limit_ms`.
  bool wait_closed(int limit_ms = 5000);
  void close();
  /// A small receive buffer, set before connecting, makes a slow reader.
  static Client slow(uint16_t port);

  std::string buffer;

 private:
  Client(uint16_t port, int receive_buffer);
  int socket_ = -1;
};

}  // namespace mokume::testing
