#include <arpa/inet.h>

#include <array>

#include "base/text.h"
#include "config/sections.h"

namespace mokume {
namespace {

bool is_address(int family, const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored;
  return inet_pton(family, host.c_str(), ignored.data()) == 1;
}

struct HostPort {
  std::string host;
  std::string port;
  bool bracketed = false;
};

/// Splits at the last colon; IPv6 hosts stand in brackets.
std::optional<HostPort> split(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  HostPort parts{text.substr(0, colon), text.substr(colon + 1)};
  if (parts.host.size() >= 2 && parts.host.front() == '[' && parts.host.back() == ']') {
    parts.bracketed = true;
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  }
  return parts;
}

}  // namespace

std::string ListenAddress::to_string() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return ipv6 ? str_cat("[", host, "]:", port) : str_cat(host, ":", port);
}

Result<ListenAddress> read_listen_address(const ConfigValue& value) {
  MKM_ASSIGN_OR_RETURN(const std::string text, read_text(value, "127.0.0.1:8080"));
  const auto wrong = [&](std::string_view hint) {
    return value.error(str_cat("is ", quote(text), "; ", hint));
  };
  std::optional<HostPort> parts = split(text);
  if (!parts) return wrong("host and port are wanted, such as \"127.0.0.1:8080\"");
  if (parts->host.empty()) {
    return wrong(
        "a host is wanted: \"127.0.0.1:8080\" for this machine alone, \"0.0.0.0:8080\" for every "
        "network");
  }
  if (parts->host == "localhost") parts->host = "127.0.0.1";
  const std::optional<uint16_t> port = parse_integer<uint16_t>(parts->port);
  if (!port || parts->port[0] == '+') return wrong("the port must be from 0 to 65535");
  const bool known =
      parts->bracketed ? is_address(AF_INET6, parts->host) : is_address(AF_INET, parts->host);
  if (!known)
    return wrong("the host must be an IP address, such as \"127.0.0.1:8080\" or \"[::1]:8080\"");
  return ListenAddress{parts->host, *port};
}

}  // namespace mokume
