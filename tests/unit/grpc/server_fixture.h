// A server over loopback with a fake service behind it.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fake_service.h"
#include "grpc/grpc_server.h"
#include "mokume/v1/inference.grpc.pb.h"

namespace mokume {

class ServerFixture : public testing::Test {
 protected:
  void SetUp() override { start(GrpcOptions{"127.0.0.1", 0, 1 << 20}); }

  void start(const GrpcOptions& options) {
    stub_.reset();
    server_.reset();
    auto server = GrpcServer::start(options, service_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = new_channel();
    stub_ = v1::InferenceService::NewStub(channel_);
  }

  /// With a connection of its own.
  std::shared_ptr<grpc::Channel> new_channel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }

  static v1::GenerateRequest text_request(const std::string& text = "Hello") {
    v1::GenerateRequest request;
    request.set_text(text);
    return request;
  }

  /// All messages of one Generate call.
  grpc::Status generate(grpc::ClientContext& context, std::vector<v1::GenerateResponse>* messages,
                        const v1::GenerateRequest& request = text_request()) {
    auto reader = stub_->Generate(&context, request);
    v1::GenerateResponse message;
    while (reader->Read(&message)) messages->push_back(message);
    return reader->Finish();
  }

  FakeService service_;  // outlives the server
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

}  // namespace mokume
