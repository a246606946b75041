"""grpcio against the daemon: our service through its proto, health and reflection."""

import subprocess
import sys
import time

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from daemon import ROOT

SERVICE = "mokume.v1.InferenceService"
PROTO = "mokume/v1/inference.proto"


@pytest.fixture(scope="module")
def proto(tmp_path_factory):
    """The Python code of our proto, made by grpcio-tools: (messages, services)."""
    folder = tmp_path_factory.mktemp("proto")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}",
               f"--grpc_python_out={folder}", str(ROOT / "proto" / PROTO)]
    subprocess.run(command, check=True)
    sys.path.insert(0, str(folder))
    from mokume.v1 import inference_pb2, inference_pb2_grpc

    return inference_pb2, inference_pb2_grpc


@pytest.fixture(scope="module")
def channel(daemon):
    with grpc.insecure_channel(daemon.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def messages(proto):
    return proto[0]


@pytest.fixture(scope="module")
def stub(proto, channel):
    return proto[1].InferenceServiceStub(channel)


def collect(stream):
    """(text, ids, usage, finish reason) of a stream with one choice."""
    text, ids, usage, reason = "", [], None, None
    for event in stream:
        text += event.text
        ids += event.token_ids
        reason = event.finish_reason or reason
        if event.HasField("usage"):
            usage = (event.usage.prompt_tokens, event.usage.completion_tokens)
    return text, ids, usage, reason


def failing(call):
    """The status code with which a call ends."""
    with pytest.raises(grpc.RpcError) as caught:
        list(call) if hasattr(call, "__iter__") else call()
    return caught.value.code()


def test_list_models(stub, messages, model):
    (only,) = stub.ListModels(messages.ListModelsRequest(), timeout=30).models
    assert (only.name, only.architecture, only.vocab_size) == (model, "llama", 49152)
    assert only.has_tokenizer and only.has_chat_template
    assert only.context_length > 1000 and only.create_time.seconds > 1_600_000_000


def test_tokenize_and_back(stub, messages):
    ids = stub.Tokenize(messages.TokenizeRequest(text="Hello, world!"), timeout=30).token_ids
    assert list(ids) == [19556, 28, 905, 17]
    assert stub.Detokenize(messages.DetokenizeRequest(token_ids=ids), timeout=30).text == "Hello, world!"


def test_parse_special(stub, messages):
    def ids(parse):
        return list(stub.Tokenize(messages.TokenizeRequest(text="<|im_start|>", parse_special=parse), timeout=30).token_ids)

    assert ids(True) == [1]
    assert len(ids(False)) > 1


def test_generate_matches_http(stub, messages, client, model):
    options = messages.GenerationOptions(temperature=0, max_tokens=12)
    request = messages.GenerateRequest(model=model, text="The capital of France is", options=options)
    text, ids, usage, reason = collect(stub.Generate(request, timeout=60))
    http = client.completions.create(model=model, prompt="The capital of France is", temperature=0, max_tokens=12)
    assert text == http.choices[0].text
    assert (len(ids), usage, reason) == (12, (5, 12), messages.FINISH_REASON_LENGTH)


def test_generate_from_ids_without_a_model_name(stub, messages):
    options = messages.GenerationOptions(temperature=0, max_tokens=6)
    ids = messages.TokenIds(ids=[504, 3575, 282, 4649, 314])
    assert collect(stub.Generate(messages.GenerateRequest(token_ids=ids, options=options), timeout=60))[0] == \
        collect(stub.Generate(messages.GenerateRequest(text="The capital of France is", options=options), timeout=60))[0]


def test_chat_matches_http(stub, messages, client, model):
    options = messages.GenerationOptions(temperature=0, max_tokens=30)
    turns = [messages.ChatMessage(role="user", content="What is the capital of France?")]
    text, _, usage, _ = collect(stub.Chat(messages.ChatRequest(model=model, messages=turns, options=options), timeout=60))
    http = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": turns[0].content}], temperature=0, max_tokens=30)
    assert text == http.choices[0].message.content
    assert usage == (http.usage.prompt_tokens, http.usage.completion_tokens)


def test_choices_and_logprobs(stub, messages):
    options = messages.GenerationOptions(temperature=1, seed=5, max_tokens=8, n=3, top_logprobs=2)
    texts = {0: "", 1: "", 2: ""}
    for event in stub.Generate(messages.GenerateRequest(text="Once upon a time", options=options), timeout=60):
        texts[event.choice_index] += event.text
        assert len(event.logprobs) == len(event.token_ids)
        for token, each in zip(event.token_ids, event.logprobs):
            assert each.id == token and each.logprob <= 0 and len(each.top) == 2
            assert each.top[0].logprob >= each.top[1].logprob
    assert len(set(texts.values())) > 1


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1}, {"temperature": "NaN"}, {"temperature": "Infinity"}, {"top_p": 0}, {"top_p": 2},
        {"min_p": -1}, {"top_k": -2}, {"max_tokens": -1}, {"max_tokens": "-9223372036854775808"}, {"n": 0},
        {"n": "9223372036854775807"}, {"presence_penalty": 3}, {"frequency_penalty": -3},
        {"repetition_penalty": 0}, {"top_logprobs": 21}, {"top_logprobs": -1}, {"logit_bias": {"-1": 1}},
        {"logit_bias": {"2147483647": 1}}, {"logit_bias": {"5": "NaN"}}, {"stop": [""]}, {"stop": ["x"] * 17},
    ],
    ids=str,
)
def test_bad_option(stub, messages, options):
    parsed = json_format.ParseDict(options, messages.GenerationOptions())
    request = messages.GenerateRequest(text="Hello", options=parsed)
    assert failing(stub.Generate(request, timeout=30)) == grpc.StatusCode.INVALID_ARGUMENT


def test_bad_requests(stub, messages):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert failing(stub.Generate(messages.GenerateRequest(), timeout=30)) == invalid
    ids = messages.TokenIds(ids=[-1])
    assert failing(stub.Generate(messages.GenerateRequest(token_ids=ids), timeout=30)) == invalid
    assert failing(stub.Chat(messages.ChatRequest(), timeout=30)) == invalid
    turns = [messages.ChatMessage(role="user", content="hi", extra_json="[1")]
    assert failing(stub.Chat(messages.ChatRequest(messages=turns), timeout=30)) == invalid
    assert failing(lambda: stub.Detokenize(messages.DetokenizeRequest(token_ids=[2**40]), timeout=30)) == invalid
    long = messages.GenerateRequest(text="word " * 20000)
    assert failing(stub.Generate(long, timeout=60)) == invalid
    unknown = messages.GenerateRequest(model="no-such-model", text="Hello")
    assert failing(stub.Generate(unknown, timeout=30)) == grpc.StatusCode.NOT_FOUND


def test_request_over_the_limit(stub, messages):
    request = messages.TokenizeRequest(text="a" * (10 << 20))
    assert failing(lambda: stub.Tokenize(request, timeout=60)) == grpc.StatusCode.RESOURCE_EXHAUSTED


def endless(messages):
    options = messages.GenerationOptions(temperature=0, max_tokens=4000, ignore_eos=True)
    return messages.GenerateRequest(text="Once upon a time", options=options)


def test_deadline(stub, messages, daemon):
    start = time.monotonic()
    assert failing(stub.Generate(endless(messages), timeout=1.0)) == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 5
    daemon.wait_idle(5)


def test_cancel(stub, messages, daemon):
    stream = stub.Generate(endless(messages), timeout=120)
    for _ in range(5):
        next(stream)
    assert daemon.metrics()["mokume_requests_running"] == 1
    stream.cancel()
    daemon.wait_idle(5)


def test_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        status = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30).status
        assert status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=30)
    assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    assert SERVICE in services and "grpc.health.v1.Health" in services
    service = descriptor_pool.DescriptorPool(database).FindServiceByName(SERVICE)
    assert {method.name for method in service.methods} == {"Generate", "Chat", "Tokenize", "Detokenize", "ListModels"}
    assert "temperature" in service.methods_by_name["Generate"].input_type.fields_by_name["options"].message_type.fields_by_name
