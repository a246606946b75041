#include "client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

namespace mokume::testing {

Client::Client(uint16_t port) : Client(port, 0) {}
Client Client::slow(uint16_t port) { return Client(port, 4096); }

Client::Client(uint16_t port, int receive_buffer) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0)
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
}

Client::~Client() { close(); }

void Client::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Client::receive(int limit_ms) {
  pollfd poll{socket_, POLLIN, 0};
  if (::poll(&poll, 1, limit_ms) <= 0) return false;
  char bytes[16384];
  const ssize_t size = ::recv(socket_, bytes, sizeof bytes, 0);
  if (size <= 0) return false;
  buffer.append(bytes, static_cast<size_t>(size));
  return true;
}

bool Client::receive_until(std::string_view text, int limit_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  while (buffer.find(text) == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !receive(static_cast<int>(left.count()))) return false;
  }
  return true;
}

Response Client::read_response(bool head_only) {
  Response response;
  if (!receive_until("\r\n\r\n")) return response;
  const size_t head_size = buffer.find("\r\n\r\n") + 4;
  response.head = buffer.substr(0, head_size);
  buffer.erase(0, head_size);
  response.status = std::atoi(response.head.c_str() + strlen("HTTP/1.1 "));
  if (head_only || response.status == 204) return response;
  if (response.head.find("chunked") != std::string::npos) {
    while (receive_until("\r\n")) {
      const size_t size = std::strtoul(buffer.c_str(), nullptr, 16);
      const size_t start = buffer.find("\r\n") + 2;
      while (buffer.size() < start + size + 2) {
        if (!receive()) return response;
      }
      response.body += buffer.substr(start, size);
      buffer.erase(0, start + size + 2);
      if (size == 0) break;
    }
    return response;
  }
  const size_t length = response.head.find("Content-Length: ");
  if (length == std::string::npos) {
    while (receive()) {
    }
    response.body = std::exchange(buffer, {});
    return response;
  }
  const size_t size = std::strtoul(response.head.c_str() + length + 16, nullptr, 10);
  while (buffer.size() < size && receive()) {
  }
  response.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return response;
}

Response Client::request(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view headers) {
  std::string bytes(method);
  bytes.append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(headers);
  bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  bytes.append(body);
  send(bytes);
  return read_response(method == "HEAD");
}

bool Client::wait_closed(int limit_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  while (receive(limit_ms)) {
  }
  return std::chrono::steady_clock::now() < until;
}

}  // namespace mokume::testing
