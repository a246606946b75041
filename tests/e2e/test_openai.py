"""The official openai client against the daemon."""

import math

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is gravity?"}]


def collect(stream) -> tuple[str, str | None]:
    """The text and the finish reason of a chat stream's only choice."""
    text, reason = "", None
    for event in stream:
        for choice in event.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason


def test_models(client, model):
    models = list(client.models.list())
    assert [each.id for each in models] == [model]
    assert models[0].object == "model" and models[0].created > 1_600_000_000
    assert client.models.retrieve(model).id == model


def test_chat(client, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, temperature=0, max_tokens=40)
    assert answer.object == "chat.completion" and answer.model == model and answer.id
    choice = answer.choices[0]
    assert choice.message.role == "assistant"
    assert "Gravity is" in choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage.prompt_tokens > 10
    assert 0 < answer.usage.completion_tokens <= 40
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_with_system_and_turns(client, model):
    messages = [
        {"role": "system", "content": "Answer in one short sentence."},
        {"role": "user", "content": [{"type": "text", "text": "I have a red car."}]},
        {"role": "assistant", "content": "Nice, a red car!"},
        {"role": "user", "content": "What color is my car?"},
    ]
    answer = client.chat.completions.create(model=model, messages=messages, temperature=0, max_tokens=30)
    assert "red" in answer.choices[0].message.content


def test_chat_stream_is_the_same_answer(client, model):
    options = dict(model=model, messages=QUESTION, temperature=0, max_completion_tokens=40)
    whole = client.chat.completions.create(**options).choices[0]
    events = list(client.chat.completions.create(**options, stream=True))
    assert events[0].object == "chat.completion.chunk"
    assert events[0].choices[0].delta.role == "assistant"
    assert len({event.id for event in events}) == 1
    assert all(event.usage is None for event in events)
    assert len([e for e in events if e.choices and e.choices[0].delta.content]) > 3
    assert collect(events) == (whole.message.content, whole.finish_reason)


def test_stream_usage(client, model):
    options = dict(model=model, messages=QUESTION, temperature=0, max_tokens=8)
    whole = client.chat.completions.create(**options)
    events = list(client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True}))
    assert events[-1].choices == []
    assert events[-1].usage.model_dump(exclude_unset=True) == whole.usage.model_dump(exclude_unset=True)
    assert all(event.usage is None for event in events[:-1])


def test_completion(client, model):
    answer = client.completions.create(model=model, prompt="The capital of France is", temperature=0, max_tokens=8)
    assert answer.object == "text_completion"
    assert answer.choices[0].text.startswith(" Paris")
    assert answer.choices[0].finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 8)


def test_completion_stream_is_the_same_answer(client, model):
    options = dict(model=model, prompt="Once upon a time", temperature=0, max_tokens=30)
    whole = client.completions.create(**options).choices[0].text
    assert "".join(event.choices[0].text for event in client.completions.create(**options, stream=True)) == whole


def test_completion_of_several_prompts_and_ids(client, model, daemon):
    texts = ["The capital of France is", "One, two, three,"]
    ids = [daemon.post("/tokenize", {"content": text})[1]["tokens"] for text in texts]
    options = dict(model=model, temperature=0, max_tokens=6)
    alone = [client.completions.create(prompt=text, **options).choices[0].text for text in texts]

    def answers(prompt):
        choices = client.completions.create(prompt=prompt, **options).choices
        assert sorted(choice.index for choice in choices) == list(range(len(choices)))
        return [choice.text for choice in sorted(choices, key=lambda choice: choice.index)]

    assert answers(texts) == alone
    assert answers(ids) == alone
    assert answers(ids[0]) == alone[:1]


def test_echo(client, model):
    answer = client.completions.create(model=model, prompt="Hello there", echo=True, max_tokens=3, temperature=0)
    assert answer.choices[0].text.startswith("Hello there")


def test_chat_logprobs(client, model):
    answer = client.chat.completions.create(
        model=model, messages=QUESTION, temperature=0, max_tokens=10, logprobs=True, top_logprobs=4)
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens or len(content) == answer.usage.completion_tokens - 1
    assert b"".join(bytes(each.bytes) for each in content).decode() == answer.choices[0].message.content
    for each in content:
        assert each.logprob <= 0
        assert len(each.top_logprobs) == 4
        values = [top.logprob for top in each.top_logprobs]
        assert values == sorted(values, reverse=True)
        # Argmax: the chosen token is the likeliest one.
        assert each.token == each.top_logprobs[0].token
        assert math.isclose(each.logprob, values[0], abs_tol=1e-4)
        assert sum(map(math.exp, values)) <= 1 + 1e-4


def test_chat_logprobs_without_top(client, model):
    answer = client.chat.completions.create(
        model=model, messages=QUESTION, temperature=0, max_tokens=3, logprobs=True)
    assert [each.top_logprobs for each in answer.choices[0].logprobs.content] == [[]] * 3


def test_chat_stream_logprobs(client, model):
    options = dict(model=model, messages=QUESTION, temperature=0, max_tokens=10, logprobs=True, top_logprobs=2)
    whole = client.chat.completions.create(**options).choices[0].logprobs.content
    streamed = []
    for event in client.chat.completions.create(**options, stream=True):
        for choice in event.choices:
            streamed += choice.logprobs.content if choice.logprobs else []
    assert [each.token for each in streamed] == [each.token for each in whole]
    assert [each.logprob for each in streamed] == [each.logprob for each in whole]


def test_completion_logprobs(client, model):
    answer = client.completions.create(
        model=model, prompt="The capital of France is", temperature=0, max_tokens=5, logprobs=3)
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == len(logprobs.text_offset) == 5
    for token, value, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs):
        assert len(top) == 3 and top[token] == value == max(top.values())


def test_n_choices(client, model):
    options = dict(model=model, messages=QUESTION, n=2, max_tokens=12, temperature=1, seed=7)
    answer = client.chat.completions.create(**options)
    assert sorted(choice.index for choice in answer.choices) == [0, 1]
    assert answer.choices[0].message.content != answer.choices[1].message.content
    streamed = ["", ""]
    for event in client.chat.completions.create(**options, stream=True):
        for choice in event.choices:
            streamed[choice.index] += choice.delta.content or ""
    in_order = sorted(answer.choices, key=lambda choice: choice.index)
    assert streamed == [choice.message.content for choice in in_order]


def test_seed(client, model):
    def sample(seed):
        answer = client.completions.create(
            model=model, prompt="Once upon a time", max_tokens=24, temperature=1.2, top_p=0.95, seed=seed)
        return answer.choices[0].text

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


@pytest.mark.parametrize("start, length", [(0, 4), (7, 9), (20, 3), (11, 30)])
def test_stop_strings(client, model, start, length):
    """Stop strings end the text before them, across the borders of tokens too, streamed or not."""
    options = dict(model=model, prompt="Once upon a time", temperature=0, max_tokens=40)
    free = client.completions.create(**options).choices[0].text
    stop = free[start : start + length]
    options["stop"] = [stop, "no such text in it"]
    whole = client.completions.create(**options).choices[0]
    assert (whole.text, whole.finish_reason) == (free[: free.index(stop)], "stop")
    events = list(client.completions.create(**options, stream=True))
    assert "".join(event.choices[0].text for event in events) == whole.text
    assert events[-1].choices[0].finish_reason == "stop"


def test_extensions(client, model):
    """vLLM's and llama.cpp's fields beside OpenAI's own."""
    options = dict(model=model, prompt="The capital of France is", max_tokens=5, seed=3)
    greedy = client.completions.create(**options, temperature=0).choices[0].text
    for extra in ({"top_k": 1}, {"min_p": 1.0}):
        assert client.completions.create(**options, temperature=1.5, extra_body=extra).choices[0].text == greedy
    banned = client.completions.create(**options, temperature=0, logit_bias={"7042": -100}).choices[0].text
    assert banned != greedy
    long = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Say hi."}], max_tokens=120, temperature=0,
        extra_body={"ignore_eos": True})
    assert long.usage.completion_tokens == 120
    assert long.choices[0].finish_reason == "length"


def test_penalties_change_the_answer(client, model):
    options = dict(model=model, prompt="the the the the the the the the", max_tokens=16, temperature=0)
    plain = client.completions.create(**options).choices[0].text
    assert client.completions.create(**options, frequency_penalty=2).choices[0].text != plain
    assert client.completions.create(**options, extra_body={"repetition_penalty": 2}).choices[0].text != plain


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.parametrize(
    "field, value",
    [
        ("temperature", -0.1), ("temperature", 2.5), ("temperature", "hot"), ("top_p", 0), ("top_p", 1.5),
        ("max_tokens", -1), ("max_tokens", 0), ("max_tokens", 1.5), ("max_tokens", 2**70), ("n", 0), ("n", 1000),
        ("presence_penalty", 9), ("frequency_penalty", -9), ("logit_bias", {"-1": 1}), ("logit_bias", {"5": 1000}),
        ("logit_bias", {"word": 1}), ("stop", [""]), ("stop", ["a"] * 17), ("top_k", -5), ("min_p", 2),
        ("repetition_penalty", 0), ("top_logprobs", 21), ("seed", "x"), ("stream", "yes"), ("messages", []),
    ],
)
def test_bad_field(client, model, field, value):
    body = {"model": model, "messages": QUESTION, "max_tokens": 2}
    if field == "top_logprobs":
        body["logprobs"] = True
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body | {field: value}, cast_to=object)
    error = caught.value.body
    assert error["type"] == "invalid_request_error"
    assert field in error["message"]
    assert error["param"] and error["param"].startswith(field)


def test_too_long_prompt(client, model):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=model, prompt="word " * 20000, max_tokens=1)
    assert caught.value.code == "context_length_exceeded"
