// Routes and whole answers, and requests that are wrong.
#include <thread>

#include "http_test.h"

namespace mokume::testing {
namespace {

using nlohmann::json;

class RequestTest : public HttpTest {
 protected:
  void SetUp() override { start(); }

  Response get(std::string_view target) { return Client(port()).request("GET", target); }
  Response post(std::string_view target, std::string_view body) {
    return Client(port()).request("POST", target, body);
  }
  /// The daemon has survived what came before.
  void expect_alive() { EXPECT_EQ(get("/health/live").status, 200); }
};

TEST_F(RequestTest, ListsModels) {
  const json list = get("/v1/models").json();
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][0]["id"], "org/fake");
  EXPECT_EQ(list["data"][0]["object"], "model");
  EXPECT_EQ(list["data"][0]["created"], 1700000000);
  EXPECT_EQ(get("/v1/models/org/fake").json()["id"], "org/fake");
  EXPECT_EQ(get("/v1/models/org%2Ffake").json()["id"], "org/fake");
}

TEST_F(RequestTest, UnknownModelIsNotFound) {
  const Response response = get("/v1/models/other");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.json()["error"]["code"], "model_not_found");
  EXPECT_EQ(response.json()["error"]["message"],
            "The model `other` does not exist. Available: org/fake");
}

TEST_F(RequestTest, WholeChat) {
  service_.set_canned({text_event("Hel"), text_event("lo"), last_event(FinishReason::kLength)});
  const Response response = post("/v1/chat/completions", kChatBody);
  ASSERT_EQ(response.status, 200);
  const json body = response.json();
  EXPECT_TRUE(body["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_EQ(body["object"], "chat.completion");
  EXPECT_EQ(body["model"], "org/fake");
  EXPECT_EQ(body["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(body["choices"][0]["message"]["content"], "Hello");
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(body["usage"],
            json({{"prompt_tokens", 3}, {"completion_tokens", 5}, {"total_tokens", 8}}));
  EXPECT_EQ(service_.last_chat().messages_json, R"([{"role":"user","content":"hi"}])");
}

TEST_F(RequestTest, WholeCompletionOfSeveralChoices) {
  service_.set_canned({text_event("a", 0), text_event("b", 1),
                       last_event(FinishReason::kStop, 1, false),
                       last_event(FinishReason::kStop, 0, true)});
  const json body = post("/v1/completions", R"({"prompt":[[1,2],[3]],"max_tokens":4})").json();
  EXPECT_TRUE(body["id"].get<std::string>().starts_with("cmpl-"));
  EXPECT_EQ(body["object"], "text_completion");
  ASSERT_EQ(body["choices"].size(), 2u);
  EXPECT_EQ(body["choices"][0]["text"], "a");
  EXPECT_EQ(body["choices"][1]["text"], "b");
  EXPECT_EQ(body["choices"][1]["index"], 1);
  EXPECT_EQ(service_.last_completion().prompts.size(), 2u);
}

TEST_F(RequestTest, FailedCallIsAnErrorWithItsStatus) {
  TextEvent failed = last_event(FinishReason::kError);
  failed.status = internal_error("engine", "broken");
  service_.set_canned({text_event("a"), failed});
  const Response response = post("/v1/chat/completions", kChatBody);
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.json()["error"]["message"], "broken");
}

TEST_F(RequestTest, RefusalsHaveOpenAiStatusCodes) {
  service_.set_refusal(resource_exhausted("engine", "the queue is full"));
  Response response = post("/v1/chat/completions", kChatBody);
  EXPECT_EQ(response.status, 429);
  EXPECT_NE(response.head.find("Retry-After: 1"), std::string::npos);
  service_.set_refusal(unavailable("engine", "draining"));
  EXPECT_EQ(post("/v1/chat/completions", kChatBody).status, 503);
  service_.set_refusal(
      with_details(invalid_argument("api", "too long"), kCodeContextLength, "messages"));
  response = post("/v1/chat/completions", kChatBody);
  EXPECT_EQ(response.status, 400);
  const json expected = {{"message", "too long"},
                         {"type", "invalid_request_error"},
                         {"param", "messages"},
                         {"code", "context_length_exceeded"}};
  EXPECT_EQ(response.json()["error"], expected);
}

TEST_F(RequestTest, TokenizeTakesBothSpellings) {
  EXPECT_EQ(post("/tokenize", R"({"content":"A"})").json()["tokens"], json({65, 2}));
  EXPECT_EQ(post("/tokenize", R"({"content":"A","add_special":true,"parse_special":false})")
                .json()["tokens"],
            json({1, 65}));
  const json vllm = post("/tokenize", R"({"prompt":"A","parse_special":false})").json();
  EXPECT_EQ(vllm["tokens"], json({1, 65}));
  EXPECT_EQ(vllm["count"], 2);
  EXPECT_EQ(post("/tokenize", R"({})").status, 400);
  const json text = post("/detokenize", R"({"tokens":[72,105]})").json();
  EXPECT_EQ(text["content"], "Hi");
  EXPECT_EQ(text["prompt"], "Hi");
  EXPECT_EQ(post("/detokenize", R"({"tokens":[72,"x"]})").status, 400);
}

TEST_F(RequestTest, HealthFollowsReadiness) {
  EXPECT_EQ(get("/health/ready").status, 200);
  service_.set_ready(false);
  EXPECT_EQ(get("/health/ready").status, 503);
  EXPECT_EQ(get("/health/live").status, 200);
}

TEST_F(RequestTest, MetricsInPrometheusFormat) {
  metrics_.observe_time_to_first_token(0.3);
  const Response response = get("/metrics");
  EXPECT_NE(response.head.find("text/plain; version=0.0.4"), std::string::npos);
  for (const char* line : {"# TYPE mokume_requests_queued gauge\nmokume_requests_queued 2\n",
                           "mokume_requests_total{outcome=\"cancelled\"} 9\n",
                           "mokume_stage_busy_seconds_total{stage=\"0:cpu0\"} 1.5\n",
                           "mokume_time_to_first_token_seconds_bucket{le=\"0.5\"} 1\n",
                           "mokume_time_between_tokens_seconds_count 0\n"}) {
    EXPECT_NE(response.body.find(line), std::string::npos) << line << "\n" << response.body;
  }
}

TEST_F(RequestTest, Methods) {
  const Response wrong = get("/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_NE(wrong.head.find("Allow: POST, OPTIONS"), std::string::npos);
  EXPECT_EQ(post("/v1/models", "").status, 405);
  Client client(port());
  const Response head = client.request("HEAD", "/v1/models");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.head.find("Content-Length: 0"), std::string::npos);
  EXPECT_EQ(client.request("OPTIONS", "/v1/completions").status, 204);
  EXPECT_EQ(client.request("BREW", "/v1/completions").status, 405);
  EXPECT_EQ(client.request("GET", "/nowhere?x=1").status, 404);
  EXPECT_EQ(client.request("GET", "/%zz").status, 400);
}

TEST_F(RequestTest, ExpectContinue) {
  service_.set_canned({last_event()});
  Client client(port());
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: " +
      std::to_string(strlen(kChatBody)) + "\r\n\r\n");
  ASSERT_TRUE(client.receive_until("100 Continue\r\n\r\n"));
  client.buffer.clear();
  client.send(kChatBody);
  EXPECT_EQ(client.read_response().status, 200);
}

TEST_F(RequestTest, PipelinedRequestsAreAnsweredInOrder) {
  service_.set_canned({text_event("a"), last_event()});
  Client client(port());
  send_chat(client, kChatBody);
  client.send("GET /v1/models HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_EQ(client.read_response().json()["object"], "chat.completion");
  EXPECT_EQ(client.read_response().json()["object"], "list");
}

TEST_F(RequestTest, OldHttpGetsAnUnchunkedStream) {
  service_.set_canned({text_event("a"), last_event()});
  Client client(port());
  client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " +
              std::to_string(strlen(kChatStreamBody)) + "\r\n\r\n" + kChatStreamBody);
  const Response response = client.read_response();
  EXPECT_EQ(response.head.find("chunked"), std::string::npos);
  EXPECT_TRUE(response.body.starts_with("data: {"));
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
}

TEST_F(RequestTest, BodyTooLarge) {
  const std::string body(10u << 20, 'x');
  const Response response = post("/v1/chat/completions", body);
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.json()["error"]["type"], "invalid_request_error");
  Client chunked(port());
  chunked.send("POST /tokenize HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "100000\r\n" + std::string(1u << 20, 'x') + "\r\n";
  for (int i = 0; i < 10 && chunked.send(chunk); ++i) {
  }
  EXPECT_EQ(chunked.read_response().status, 413);
  expect_alive();
}

TEST_F(RequestTest, HeaderTooLarge) {
  Client client(port());
  client.send("GET /v1/models HTTP/1.1\r\nX: " + std::string(40'000, 'y') + "\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 431);
  expect_alive();
}

TEST_F(RequestTest, BytesThatAreNotHttp) {
  for (const std::string_view bytes :
       {std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
        std::string_view("\r\n\r\n\r\n"), std::string_view("GET  HTTP/9.9\r\n\r\n"),
        std::string_view("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string_view("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        std::string_view("POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    Client client(port());
    client.send(bytes);
    const int status = client.read_response().status;
    EXPECT_TRUE(status == 0 || status == 400 || status == 413) << status << " for " << bytes;
  }
  expect_alive();
}

TEST_F(RequestTest, BadJsonIsRefusedWithItsPlace) {
  const Response response = post("/v1/chat/completions", "{\"messages\": [}");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("line 1, column 15"), std::string::npos) << response.body;
  EXPECT_EQ(post("/v1/chat/completions", std::string(100'000, '[')).status, 400);
  EXPECT_EQ(post("/v1/chat/completions", "{\"messages\": \"\xff\"}").status, 400);
  EXPECT_EQ(post("/v1/chat/completions", "").status, 400);
  expect_alive();
}

class TimeoutTest : public HttpTest {};

TEST_F(TimeoutTest, SlowHeaderIsCutOff) {
  HttpOptions options;
  options.header_timeout = std::chrono::milliseconds(100);
  start(options);
  Client client(port());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {  // a byte now and then does not buy time
    if (!client.send(i == 0 ? "GET / HTTP/1.1\r\n" : "X") || client.wait_closed(10)) break;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(900));
}

TEST_F(TimeoutTest, IdleConnectionIsClosed) {
  HttpOptions options;
  options.idle_timeout = std::chrono::milliseconds(50);
  start(options);
  Client client(port());
  EXPECT_EQ(client.request("GET", "/health/live").status, 200);
  EXPECT_TRUE(client.wait_closed(1000));
}

TEST_F(TimeoutTest, ConnectionsBeyondTheLimitAreRefused) {
  HttpOptions options;
  options.max_connections = 2;
  start(options);
  Client a(port()), b(port());
  EXPECT_EQ(a.request("GET", "/health/live").status, 200);
  EXPECT_EQ(b.request("GET", "/health/live").status, 200);
  Client c(port());
  EXPECT_EQ(c.read_response().status, 503);
  a.close();
  int status = 0;
  for (int i = 0; i < 100 && status != 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    status = Client(port()).request("GET", "/health/live").status;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(TimeoutTest, TakenPortIsAnErrorThatNamesIt) {
  start();
  HttpOptions options;
  options.port = port();
  const auto second = HttpServer::start(options, service_, metrics_);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_NE(std::string(second.status().message()).find(str_cat("127.0.0.1:", port())),
            std::string::npos);
}

}  // namespace
}  // namespace mokume::testing
