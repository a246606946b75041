#include "grpc/inference_handlers.h"

#include <grpcpp/server_context.h>

#include <string>
#include <utility>
#include <vector>

#include "grpc/event_stream.h"
#include "grpc/wire.h"
#include "mokume/v1/inference.grpc.pb.h"

namespace mokume {
namespace {

using grpc::ByteBuffer;
using grpc::CallbackServerContext;

// Every method takes and gives bytes: see parse() for the reason.
using Rpc = v1::InferenceService;
using RawService = Rpc::WithRawCallbackMethod_Generate<Rpc::WithRawCallbackMethod_Chat<
    Rpc::WithRawCallbackMethod_Tokenize<Rpc::WithRawCallbackMethod_Detokenize<
        Rpc::WithRawCallbackMethod_ListModels<Rpc::Service>>>>>;

class InferenceHandlers final : public RawService {
 public:
  explicit InferenceHandlers(mokume::Service& service) : service_(service) {}

  grpc::ServerWriteReactor<ByteBuffer>* Generate(CallbackServerContext* context,
                                                 const ByteBuffer* bytes) override {
    return EventStream::start(
        encode_event<v1::GenerateResponse>,
        [&](std::shared_ptr<EventSink> sink) -> Result<std::shared_ptr<Call>> {
          MKM_ASSIGN_OR_RETURN(CompletionRequest request,
                               receive<v1::GenerateRequest>(*bytes, *context));
          return service_.complete(request, std::move(sink));
        });
  }

  grpc::ServerWriteReactor<ByteBuffer>* Chat(CallbackServerContext* context,
                                             const ByteBuffer* bytes) override {
    return EventStream::start(
        encode_event<v1::ChatResponse>,
        [&](std::shared_ptr<EventSink> sink) -> Result<std::shared_ptr<Call>> {
          MKM_ASSIGN_OR_RETURN(ChatRequest request, receive<v1::ChatRequest>(*bytes, *context));
          return service_.chat(request, std::move(sink));
        });
  }

  grpc::ServerUnaryReactor* Tokenize(CallbackServerContext* context, const ByteBuffer* bytes,
                                     ByteBuffer* reply) override {
    return answer(context, tokenize(*bytes), reply);
  }

  grpc::ServerUnaryReactor* Detokenize(CallbackServerContext* context, const ByteBuffer* bytes,
                                       ByteBuffer* reply) override {
    return answer(context, detokenize(*bytes), reply);
  }

  grpc::ServerUnaryReactor* ListModels(CallbackServerContext* context, const ByteBuffer* bytes,
                                       ByteBuffer* reply) override {
    return answer(context, list_models(*bytes), reply);
  }

 private:
  template <typename Message>
  static auto receive(const ByteBuffer& bytes, const CallbackServerContext& context)
      -> decltype(decode(std::declval<Message>())) {
    Message message;
    MKM_RETURN_IF_ERROR(parse(bytes, message));
    auto request = decode(message);
    if (request.ok()) request->options.deadline = steady_deadline(context.raw_deadline());
    return request;
  }

  Result<ByteBuffer> tokenize(const ByteBuffer& bytes) const {
    v1::TokenizeRequest request;
    MKM_RETURN_IF_ERROR(parse(bytes, request));
    MKM_RETURN_IF_ERROR(check_model(request.model()));
    const bool parse_special = !request.has_parse_special() || request.parse_special();
    MKM_ASSIGN_OR_RETURN(const std::vector<TokenId> ids,
                         service_.tokenize(request.text(), request.add_special(), parse_special));
    v1::TokenizeResponse response;
    response.mutable_token_ids()->Add(ids.begin(), ids.end());
    return serialize(response);
  }

  Result<ByteBuffer> detokenize(const ByteBuffer& bytes) const {
    v1::DetokenizeRequest request;
    MKM_RETURN_IF_ERROR(parse(bytes, request));
    MKM_RETURN_IF_ERROR(check_model(request.model()));
    MKM_ASSIGN_OR_RETURN(std::string text, service_.detokenize({request.token_ids().begin(),
                                                                request.token_ids().end()}));
    v1::DetokenizeResponse response;
    response.set_text(std::move(text));
    return serialize(response);
  }

  Result<ByteBuffer> list_models(const ByteBuffer& bytes) const {
    v1::ListModelsRequest request;
    MKM_RETURN_IF_ERROR(parse(bytes, request));
    return serialize(encode(service_.models()));
  }

  Status check_model(const std::string& name) const {
    if (name.empty()) return absl::OkStatus();
    for (const ModelInfo& model : service_.models()) {
      if (model.name == name) return absl::OkStatus();
    }
    return not_found("grpc", "model: \"", name, "\" is not served; ListModels tells which are");
  }

  static grpc::ServerUnaryReactor* answer(CallbackServerContext* context, Result<ByteBuffer> result,
                                          ByteBuffer* reply) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (result.ok()) *reply = *std::move(result);
    reactor->Finish(to_grpc(result.status()));
    return reactor;
  }

  mokume::Service& service_;  // Rpc has a Service of its own
};

}  // namespace

std::unique_ptr<grpc::Service> make_inference_handlers(Service& service) {
  return std::make_unique<InferenceHandlers>(service);
}

}  // namespace mokume
