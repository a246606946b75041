#include "config/sections.h"

#include "base/text.h"

namespace mokume {
namespace {

constexpr size_t kLongestPath = 4096;
constexpr uint64_t kMiB = uint64_t{1} << 20;

Status read_path(const ConfigValue& value, std::string& out) {
  MKM_ASSIGN_OR_RETURN(out, read_text(value, "models/model.gguf"));
  if (!out.empty() && out.size() <= kLongestPath && out.find('\0') == std::string::npos)
    return absl::OkStatus();
  return value.error(
      str_cat("is ", quote(out), "; a path of 1 to ", kLongestPath, " bytes is wanted"));
}

Status read_endpoint(const ConfigValue& value, std::optional<ListenAddress>& out) {
  return read_section(value, {{"listen",
                               [&](const ConfigValue& listen) -> Status {
                                 MKM_ASSIGN_OR_RETURN(out, read_listen_address(listen));
                                 return absl::OkStatus();
                               },
                               true}});
}

Status read_page_tokens(const ConfigValue& value, int& out) {
  MKM_ASSIGN_OR_RETURN(const int64_t tokens, read_integer(value, 16, 256));
  if (tokens % 16 != 0) return value.error(str_cat("is ", tokens, "; it must be a multiple of 16"));
  out = static_cast<int>(tokens);
  return absl::OkStatus();
}

}  // namespace

Status read_model(const ConfigValue& value, ModelConfig& out) {
  out.where = value.where();
  return read_section(
      value, {
                 {"name", name(out.name, "my-model")},
                 {"path", [&](const ConfigValue& path) { return read_path(path, out.path); }, true},
             });
}

Status read_server(const ConfigValue& value, std::optional<ServerConfig>& out) {
  ServerConfig& server = out.emplace();
  MKM_RETURN_IF_ERROR(read_section(
      value,
      {
          {"http", [&](const ConfigValue& http) { return read_endpoint(http, server.http); }},
          {"grpc", [&](const ConfigValue& grpc) { return read_endpoint(grpc, server.grpc); }},
          {"max_request_bytes", size(server.max_request_bytes, 1024, 1024 * kMiB)},
          {"drain_seconds", integer(server.drain_seconds, 0, 3600)},
          {"http_threads", integer(server.http_threads, 1, 64)},
      }));
  if (!server.http && !server.grpc) {
    return value.error("names no address; give http: {listen: \"127.0.0.1:8080\"}, grpc, or both");
  }
  const bool same =
      server.http && server.grpc && server.http->to_string() == server.grpc->to_string();
  if (same && server.http->port != 0) {
    return value.error(str_cat("has http and grpc both on ", server.http->to_string(),
                               "; give each its own port"));
  }
  return absl::OkStatus();
}

Status read_scheduler(const ConfigValue& value, SchedulerConfig& out) {
  const auto read_kv_cache = [&](const ConfigValue& kv_cache) {
    out.kv_cache_where = kv_cache.where();
    return read_section(
        kv_cache,
        {
            {"memory", size(out.kv_cache_bytes, kMiB, 16 * kMiB * kMiB)},
            {"page_tokens",
             [&](const ConfigValue& tokens) { return read_page_tokens(tokens, out.page_tokens); }},
            {"dtype",
             [&](const ConfigValue& dtype) {
               out.kv_cache_dtype_where = dtype.where();
               return choice(out.kv_cache_dtype,
                             {"auto", "fp32", "fp16", "bf16", "int16", "int8", "fp8"})(dtype);
             }},
        });
  };
  return read_section(value,
                      {
                          {"max_sequences", integer(out.max_sequences, 1, 4096)},
                          {"max_queue", integer(out.max_queue, 1, 65536)},
                          {"prefill_chunk_tokens", integer(out.prefill_chunk_tokens, 16, 8192)},
                          {"kv_cache", read_kv_cache},
                      });
}

Status read_log(const ConfigValue& value, LogConfig& out) {
  return read_section(
      value, {
                 {"level", choice(out.level, {"trace", "debug", "info", "warn", "error", "off"})},
                 {"format", choice(out.format, {"text", "json"})},
             });
}

}  // namespace mokume
