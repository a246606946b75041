// Unary methods, health, reflection, limits, bad bytes, start and stop.
#include <chrono>
#include <thread>

#include "raw_call.h"
#include "server_fixture.h"

namespace mokume {
namespace {

using Server = ServerFixture;
using std::chrono::milliseconds;

constexpr char kServing[] = "\x08\x01";     // HealthCheckResponse{status: SERVING}
constexpr char kNotServing[] = "\x08\x02";  // {status: NOT_SERVING}
const std::string kName = "mokume.v1.InferenceService";

/// HealthCheckRequest{service: name}
std::string health_request(const std::string& name) {
  return name.empty() ? "" : str_cat("\n", std::string(1, static_cast<char>(name.size())), name);
}

TEST_F(Server, Tokenizes) {
  v1::TokenizeRequest request;
  request.set_text("ab");
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Tokenize(&context, request, &response).ok());
  EXPECT_EQ(std::vector<int>(response.token_ids().begin(), response.token_ids().end()),
            (std::vector<int>{0, 1, 'a', 'b'}))
      << "add_special is false and parse_special true where absent";
  request.set_add_special(true);
  request.set_parse_special(false);
  grpc::ClientContext second;
  ASSERT_TRUE(stub_->Tokenize(&second, request, &response).ok());
  EXPECT_EQ(response.token_ids(0), 1);
  EXPECT_EQ(response.token_ids(1), 0);
}

TEST_F(Server, UnaryErrorsKeepCodeAndMessage) {
  v1::TokenizeRequest request;
  request.set_text("fail");
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Tokenize(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "[api] the model has no tokenizer");
}

TEST_F(Server, Detokenizes) {
  v1::DetokenizeRequest request;
  request.set_model("smith");
  for (const char c : {'o', 'k'}) request.add_token_ids(c);
  v1::DetokenizeResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Detokenize(&context, request, &response).ok());
  EXPECT_EQ(response.text(), "ok");
  for (const int64_t id :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    request.set_token_ids(0, id);
    grpc::ClientContext bad;
    const grpc::Status status = stub_->Detokenize(&bad, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_NE(status.error_message().find(std::to_string(id)), std::string::npos)
        << "passed as it came";
  }
}

TEST_F(Server, UnknownModelIsNotFound) {
  v1::TokenizeRequest request;
  request.set_model("anvil");
  v1::TokenizeResponse response;
  grpc::ClientContext context;
  const grpc::Status status = stub_->Tokenize(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(status.error_message().find("anvil"), std::string::npos);
}

TEST_F(Server, ListsModels) {
  v1::ListModelsResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->ListModels(&context, v1::ListModelsRequest(), &response).ok());
  ASSERT_EQ(response.models_size(), 1);
  const v1::Model& model = response.models(0);
  EXPECT_EQ(model.name(), "smith");
  EXPECT_EQ(model.architecture(), "llama");
  EXPECT_EQ(model.create_time().seconds(), 1700000000);
  EXPECT_EQ(model.context_length(), 2048);
  EXPECT_EQ(model.vocab_size(), 128);
  EXPECT_TRUE(model.has_tokenizer());
  EXPECT_TRUE(model.has_chat_template());
}

TEST_F(Server, HealthFollowsSetServing) {
  const std::string check = "/grpc.health.v1.Health/Check";
  for (const std::string& name : {std::string(), kName}) {
    EXPECT_EQ(raw_call(channel_, check, health_request(name)).bytes, kServing) << name;
    server_->set_serving(false);
    EXPECT_EQ(raw_call(channel_, check, health_request(name)).bytes, kNotServing) << name;
    server_->set_serving(true);
  }
  EXPECT_EQ(raw_call(channel_, check, health_request("other")).status.error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(Server, BeginsNotServingWhileTheServiceIsNotReady) {
  service_.set_ready(false);
  start({"127.0.0.1", 0, 1 << 20});
  EXPECT_EQ(raw_call(channel_, "/grpc.health.v1.Health/Check", "").bytes, kNotServing);
}

TEST_F(Server, ReflectionListsServicesAndGivesTheFile) {
  const std::string method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  const RawReply list =
      raw_call(channel_, method, std::string("\x3a\x00", 2));  // {list_services: ""}
  EXPECT_TRUE(list.status.ok()) << list.status.error_message();
  EXPECT_NE(list.bytes.find(kName), std::string::npos);
  EXPECT_NE(list.bytes.find("grpc.health.v1.Health"), std::string::npos);
  // {file_containing_symbol: kName}
  const RawReply file = raw_call(
      channel_, method, str_cat("\x22", std::string(1, static_cast<char>(kName.size())), kName));
  EXPECT_TRUE(file.status.ok());
  EXPECT_NE(file.bytes.find("GenerateResponse"), std::string::npos);
}

TEST_F(Server, BytesThatAreNoRequestAreInvalidArgument) {
  const std::string cases[] = {
      "\x0a\x7f"
      "abc",                      // field 1 says 127 bytes, 3 follow
      std::string(64, '\xff'),    // no varint ends
      "\x0a\x02\xc3\x28",         // model is not UTF-8
      "\x12\x01\x80",             // nor is field 2, text or messages
      std::string(5000, '\x0b'),  // groups that open without an end
  };
  for (const char* method : {"Generate", "Chat", "Tokenize", "Detokenize"}) {
    for (const std::string& bytes : cases) {
      const RawReply reply = raw_call(channel_, str_cat("/", kName, "/", method), bytes);
      EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
          << method << " " << testing::PrintToString(bytes.substr(0, 8));
      EXPECT_NE(reply.status.error_message().find(str_cat(method, "Request")), std::string::npos)
          << reply.status.error_message();
    }
  }
  EXPECT_EQ(raw_call(channel_, str_cat("/", kName, "/ListModels"), "\x0b").status.error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(raw_call(channel_, str_cat("/", kName, "/Smelt"), "").status.error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(Server, EmptyGenerateNamesThePrompt) {
  const RawReply reply = raw_call(channel_, str_cat("/", kName, "/Generate"), "");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(reply.status.error_message().find("prompt"), std::string::npos);
}

TEST_F(Server, RequestOverTheLimitIsResourceExhausted) {
  std::vector<v1::GenerateResponse> messages;
  grpc::ClientContext small, big;
  EXPECT_TRUE(generate(small, &messages, text_request(std::string(1 << 19, 'a'))).ok());
  EXPECT_EQ(generate(big, &messages, text_request(std::string(10 << 20, 'a'))).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(Server, PortThatIsTakenIsAnError) {
  const auto second = GrpcServer::start({"127.0.0.1", server_->port(), 1 << 20}, service_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find(std::to_string(server_->port())), std::string::npos);
}

TEST_F(Server, BadOptionsAreErrors) {
  EXPECT_FALSE(GrpcServer::start({"no.such.host.invalid", 0, 1 << 20}, service_).ok());
  EXPECT_FALSE(GrpcServer::start({"", 0, 1 << 20}, service_).ok());
  for (const int64_t bytes : {int64_t{0}, int64_t{-1}, int64_t{1} << 31}) {
    EXPECT_EQ(GrpcServer::start({"127.0.0.1", 0, bytes}, service_).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(Server, StopCancelsWhatStillRunsAfterTheGrace) {
  service_.set_script({.events = 0});
  std::vector<std::thread> clients;
  std::atomic<int> started{0}, ended{0};
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back([&] {
      grpc::ClientContext context;
      auto reader = stub_->Generate(&context, text_request());
      v1::GenerateResponse message;
      if (reader->Read(&message)) ++started;
      while (reader->Read(&message)) {
      }
      ended += !reader->Finish().ok();
    });
  }
  while (started < 20) std::this_thread::sleep_for(milliseconds(1));
  const auto before = std::chrono::steady_clock::now();
  server_->stop(milliseconds(200));
  const auto took = std::chrono::steady_clock::now() - before;
  EXPECT_GE(took, milliseconds(190));
  EXPECT_LT(took, std::chrono::seconds(10));
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(ended, 20);
  EXPECT_TRUE(service_.wait_idle());
  server_->stop(milliseconds(0));
  server_.reset();
  EXPECT_EQ(service_.push_to_all_ever(), 0)
      << "streams outlive the server while the engine holds them";
}

TEST_F(Server, StopLetsRunningCallsEndWithinTheGrace) {
  service_.set_step(milliseconds(5));
  service_.set_script({.events = 60});
  std::atomic<bool> started{false};
  grpc::Status status;
  int read = 0;
  std::thread client([&] {
    grpc::ClientContext context;
    auto reader = stub_->Generate(&context, text_request());
    v1::GenerateResponse message;
    for (; reader->Read(&message); ++read) started = true;
    status = reader->Finish();
  });
  while (!started) std::this_thread::sleep_for(milliseconds(1));
  server_->stop(std::chrono::seconds(20));
  client.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(read, 60);
}

}  // namespace
}  // namespace mokume
