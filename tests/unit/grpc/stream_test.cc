// Streams through a real channel: order, ends, cancellation, deadlines, slow readers.
#include <chrono>
#include <random>
#include <thread>

#include "server_fixture.h"

namespace mokume {
namespace {

using Stream = ServerFixture;
using std::chrono::milliseconds;

TEST_F(Stream, CarriesEveryEventInOrderAndUsageLast) {
  service_.set_script({.events = 500, .finish = FinishReason::kLength});
  service_.set_step(std::chrono::microseconds(0));
  std::vector<v1::GenerateResponse> messages;
  grpc::ClientContext context;
  const grpc::Status status = generate(context, &messages);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(messages.size(), 500u);
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(messages[i].text(), str_cat("t", i, ";"));
    ASSERT_EQ(messages[i].token_ids_size(), 1);
    EXPECT_EQ(messages[i].token_ids(0), i);
    EXPECT_EQ(messages[i].has_usage(), i == 499);
    EXPECT_EQ(messages[i].finish_reason(),
              i == 499 ? v1::FINISH_REASON_LENGTH : v1::FINISH_REASON_UNSPECIFIED);
  }
  EXPECT_EQ(messages.back().usage().prompt_tokens(), 3);
  EXPECT_EQ(messages.back().usage().completion_tokens(), 500);
}

TEST_F(Stream, ChatAnswersTheSameWay) {
  v1::ChatRequest request;
  request.set_model("smith");
  v1::ChatMessage* message = request.add_messages();
  message->set_role("user");
  message->set_content("Hi");
  grpc::ClientContext context;
  auto reader = stub_->Chat(&context, request);
  std::string text;
  v1::ChatResponse response;
  while (reader->Read(&response)) text += response.text();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(text, "t0;t1;t2;t3;t4;");
  EXPECT_EQ(response.finish_reason(), v1::FINISH_REASON_STOP);
  ASSERT_TRUE(service_.last_chat());
  EXPECT_EQ(service_.last_chat()->messages_json, R"([{"role":"user","content":"Hi"}])");
  EXPECT_EQ(service_.last_chat()->options.model, "smith");
}

TEST_F(Stream, EndsWithTheStatusOfItsFinish) {
  struct Case {
    FinishReason finish;
    Status status;
    grpc::StatusCode code;
    std::string message;
  };
  const Case cases[] = {
      {FinishReason::kDeadline,
       {},
       grpc::StatusCode::DEADLINE_EXCEEDED,
       "[grpc] the deadline has passed"},
      {FinishReason::kCancelled, absl::UnavailableError("[engine] draining"),
       grpc::StatusCode::CANCELLED, "[engine] draining"},
      {FinishReason::kError, absl::DataLossError("[device] gone"), grpc::StatusCode::DATA_LOSS,
       "[device] gone"},
      {FinishReason::kError,
       {},
       grpc::StatusCode::INTERNAL,
       "[grpc] the call failed without a reason"},
  };
  for (const Case& c : cases) {
    service_.set_script({.events = 2, .finish = c.finish, .status = c.status});
    std::vector<v1::GenerateResponse> messages;
    grpc::ClientContext context;
    const grpc::Status status = generate(context, &messages);
    EXPECT_EQ(status.error_code(), c.code);
    EXPECT_EQ(status.error_message(), c.message);
    ASSERT_EQ(messages.size(), 2u) << "what was generated comes first";
    EXPECT_NE(messages[1].finish_reason(), v1::FINISH_REASON_UNSPECIFIED);
  }
}

TEST_F(Stream, RefusalKeepsCodeAndMessage) {
  for (int code = 1; code <= 16; ++code) {
    service_.refuse(Status(static_cast<absl::StatusCode>(code), "[api] max_tokens: no"));
    std::vector<v1::GenerateResponse> messages;
    grpc::ClientContext context;
    const grpc::Status status = generate(context, &messages);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), "[api] max_tokens: no");
    EXPECT_TRUE(messages.empty());
  }
}

TEST_F(Stream, LongErrorMessageStillArrives) {
  service_.refuse(absl::InvalidArgumentError("[api] " + std::string(1 << 20, '\n')));
  std::vector<v1::GenerateResponse> messages;
  grpc::ClientContext context;
  const grpc::Status status = generate(context, &messages);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message().substr(0, 6), "[api] ");
}

TEST_F(Stream, ClientThatCancelsEndsTheCall) {
  service_.set_script({.events = 0});
  grpc::ClientContext context;
  auto reader = stub_->Generate(&context, text_request());
  v1::GenerateResponse message;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(service_.live(), 1u);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(service_.wait_idle());
  EXPECT_EQ(service_.push_to_all_ever(), 0);
}

TEST_F(Stream, CancelReachesACallThatGeneratesNothing) {
  // Longer than the wait below, so that no failed write can tell of the cancellation first.
  service_.set_step(std::chrono::seconds(3));
  service_.set_script({.events = 0});
  grpc::ClientContext context;
  auto reader = stub_->Generate(&context, text_request());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  for (int i = 0; i < 200 && service_.cancelled() == 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(service_.cancelled(), 1);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(Stream, DeadlineReachesTheServiceAndEndsTheCall) {
  service_.set_script({.events = 0});
  grpc::ClientContext context;
  const auto before = std::chrono::steady_clock::now();
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(400));
  std::vector<v1::GenerateResponse> messages;
  EXPECT_EQ(generate(context, &messages).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(service_.wait_idle());
  const auto deadline = service_.last_completion()->options.deadline;
  ASSERT_TRUE(deadline);
  EXPECT_GT(*deadline, before + milliseconds(100));
  EXPECT_LT(*deadline, before + milliseconds(1500));
}

TEST_F(Stream, NoDeadlineIsNone) {
  std::vector<v1::GenerateResponse> messages;
  grpc::ClientContext context;
  EXPECT_TRUE(generate(context, &messages).ok());
  EXPECT_FALSE(service_.last_completion()->options.deadline);
}

TEST_F(Stream, SlowReaderIsGivenUpAndToldSo) {
  service_.set_step(std::chrono::microseconds(0));
  service_.set_script({.events = 0, .text_bytes = 2000});
  grpc::ClientContext context;
  auto reader = stub_->Generate(&context, text_request());
  EXPECT_TRUE([&] {  // the service gives up by itself, while nothing is read
    for (int i = 0; i < 2000; ++i, std::this_thread::sleep_for(milliseconds(10))) {
      if (service_.refused_pushes() == 1) return service_.wait_idle();
    }
    return false;
  }());
  v1::GenerateResponse message;
  int read = 0;
  while (reader->Read(&message)) {
    ASSERT_EQ(message.token_ids(0), read++);
  }
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_NE(status.error_message().find("reads too slowly"), std::string::npos);
}

TEST_F(Stream, TwoHundredAtOnceHalfOfThemVanishing) {
  constexpr int kStreams = 200;
  constexpr int kEvents = 150;
  service_.set_script({.events = kEvents});
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 8; ++i) channels.push_back(new_channel());
  std::atomic<int> whole{0}, gone{0}, wrong{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.emplace_back([&, i] {
      std::mt19937 random(i);
      const bool vanishes = i % 2 == 1;
      const int leave_after = static_cast<int>(random() % kEvents);
      auto stub = v1::InferenceService::NewStub(channels[i % channels.size()]);
      grpc::ClientContext context;
      auto reader = stub->Generate(&context, text_request());
      v1::GenerateResponse message;
      int read = 0;
      while (!(vanishes && read == leave_after) && reader->Read(&message)) {
        wrong += message.token_ids(0) != read++;
      }
      if (vanishes) context.TryCancel();
      const grpc::Status status = reader->Finish();
      if (vanishes) {
        gone += status.error_code() == grpc::StatusCode::CANCELLED;
      } else {
        whole += status.ok() && read == kEvents;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(whole, kStreams / 2);
  EXPECT_GE(gone, kStreams / 2 - 2) << "one that leaves at the very end may have had its answer";
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(service_.wait_idle());
  EXPECT_EQ(service_.push_to_all_ever(), 0);
  // The server goes on.
  std::vector<v1::GenerateResponse> messages;
  grpc::ClientContext context;
  EXPECT_TRUE(generate(context, &messages).ok());
}

}  // namespace
}  // namespace mokume
