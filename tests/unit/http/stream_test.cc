// Answers as they stream: order, disconnects, slow readers, many at once.
#include <thread>
#include <vector>

#include "http_test.h"

namespace mokume::testing {
namespace {

using std::chrono::milliseconds;

class StreamTest : public HttpTest {};

TEST_F(StreamTest, ChatStreamsEachEventAndEnds) {
  start();
  Client client(port());
  send_chat(client, kChatStreamBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  EXPECT_TRUE(call->sink().push(text_event("one")));
  ASSERT_TRUE(client.receive_until("\"content\":\"one\""));
  EXPECT_NE(client.buffer.find("\"role\":\"assistant\""), std::string::npos);
  EXPECT_EQ(client.buffer.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(call->sink().push(text_event("two")));
  EXPECT_TRUE(call->sink().push(last_event()));
  const Response response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.head.find("text/event-stream"), std::string::npos);
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n")) << response.body;
  EXPECT_NE(response.body.find("\"finish_reason\":\"stop\""), std::string::npos);
  EXPECT_FALSE(call->cancelled());
  // The connection serves the next request.
  EXPECT_EQ(client.request("GET", "/health/live").status, 200);
}

TEST_F(StreamTest, ClientThatLeavesAnIdleStreamIsNoticed) {
  start();
  Client client(port());
  send_chat(client, kChatStreamBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  client.close();
  EXPECT_TRUE(call->wait_cancelled(milliseconds(100)));
}

TEST_F(StreamTest, ClientThatLeavesWhileWaitingForAWholeAnswerIsNoticed) {
  start();
  Client client(port());
  send_chat(client, kChatBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  client.close();
  EXPECT_TRUE(call->wait_cancelled(milliseconds(100)));
}

TEST_F(StreamTest, EventsAfterTheClientLeftAreRefused) {
  start();
  Client client(port());
  send_chat(client, kChatStreamBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  client.close();
  ASSERT_TRUE(call->wait_cancelled(milliseconds(1000)));
  bool accepted = true;
  for (int i = 0; i < 1000 && accepted; ++i) {
    accepted = call->sink().push(text_event("x"));
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_FALSE(accepted);
}

TEST_F(StreamTest, SlowReaderIsGivenUpAndHoldsNobodyUp) {
  HttpOptions options;
  options.queue.events = 64;
  start(options);
  Client slow = Client::slow(port());
  send_chat(slow, kChatStreamBody);
  const auto slow_call = service_.wait_call(0);
  ASSERT_TRUE(slow_call);
  Client quick(port());
  send_chat(quick, kChatStreamBody);
  const auto quick_call = service_.wait_call(1);
  ASSERT_TRUE(quick_call);

  const std::string big(8192, 'x');
  bool slow_accepted = true;
  int pushed = 0;
  for (; slow_accepted && pushed < 100'000; ++pushed) {
    slow_accepted = slow_call->sink().push(text_event(big));
    if (pushed % 64 == 0) {
      ASSERT_TRUE(quick_call->sink().push(text_event("tick")));
      ASSERT_TRUE(quick.receive_until("tick"));
      quick.buffer.clear();
    }
  }
  EXPECT_FALSE(slow_accepted) << "after " << pushed;
  EXPECT_TRUE(slow_call->wait_cancelled(milliseconds(1000)));
  EXPECT_FALSE(quick_call->cancelled());
}

TEST_F(StreamTest, ErrorInMidStreamIsAnEventAndEndsTheConnection) {
  start();
  Client client(port());
  send_chat(client, kChatStreamBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  call->sink().push(text_event("begun"));
  TextEvent failed = last_event(FinishReason::kError);
  failed.status = internal_error("engine", "stage 1 (cpu1) failed");
  call->sink().push(failed);
  const Response response = client.read_response();
  EXPECT_NE(response.body.find(R"("message":"stage 1 (cpu1) failed","type":"server_error")"),
            std::string::npos);
  EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(client.wait_closed());
}

TEST_F(StreamTest, ThreeHundredStreamsAtOnce) {
  start();
  constexpr int kStreams = 300;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<Client>(port()));
    send_chat(*clients.back(),
              R"({"messages":[{}],"stream":true,"seed":)" + std::to_string(i) + "}");
  }
  ASSERT_TRUE(service_.wait_call(kStreams - 1));
  std::vector<std::shared_ptr<FakeCall>> calls(kStreams);
  for (int i = 0; i < kStreams; ++i) {
    const auto call = service_.wait_call(i);
    calls[call->seed] = call;
  }
  for (int round = 0; round < 20; ++round) {
    for (const auto& call : calls) {
      const std::string text = str_cat("c", call->seed, "t", round, ";");
      ASSERT_TRUE(call->sink().push(text_event(text)));
    }
  }
  // Every third client leaves; the others are served to the end.
  for (int i = 0; i < kStreams; i += 3) clients[i]->close();
  for (int i = 0; i < kStreams; ++i) {
    const auto& call = calls[i];
    if (i % 3 == 0) {
      EXPECT_TRUE(call->wait_cancelled(milliseconds(5000)));
    } else {
      ASSERT_TRUE(call->sink().push(last_event()));
      const Response response = clients[i]->read_response();
      size_t from = 0;
      for (int round = 0; round < 20; ++round) {
        from = response.body.find(str_cat("c", i, "t", round, ";"), from);
        ASSERT_NE(from, std::string::npos) << round;
      }
      EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
      EXPECT_FALSE(call->cancelled());
    }
  }
}

TEST_F(StreamTest, StopLetsRunningAnswersFinish) {
  start();
  Client running(port()), idle(port());
  ASSERT_EQ(idle.request("GET", "/health/live").status, 200);
  send_chat(running, kChatStreamBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  server_->stop_accepting();
  EXPECT_TRUE(idle.wait_closed(1000));
  std::thread stopping([&] { server_->stop(std::chrono::seconds(10)); });
  call->sink().push(text_event("still"));
  call->sink().push(last_event());
  const Response response = running.read_response();
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
  stopping.join();
  EXPECT_FALSE(call->cancelled());
}

TEST_F(StreamTest, StopCancelsWhatDoesNotFinish) {
  start();
  Client running(port());
  send_chat(running, kChatStreamBody);
  const auto call = service_.wait_call(0);
  ASSERT_TRUE(call);
  server_->stop(milliseconds(20));
  EXPECT_TRUE(call->cancelled());
  EXPECT_FALSE(call->sink().push(text_event("late")));
}

}  // namespace
}  // namespace mokume::testing
