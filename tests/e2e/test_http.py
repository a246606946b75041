"""The parts of the HTTP interface that are not OpenAI's: tokenizer, health, metrics."""

import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "llama_cpp"
TOKENIZE = json.loads((DATA / "tokenize.json").read_text())["items"]


@pytest.mark.parametrize("item", TOKENIZE, ids=range(len(TOKENIZE)))
def test_tokenize_as_llama_cpp_does(daemon, item):
    text = bytes.fromhex(item["utf8_hex"]).decode()
    for parse, key in ((True, "ids"), (False, "ids_no_parse_special")):
        body = {"content": text, "add_special": False, "parse_special": parse}
        status, answer = daemon.post("/tokenize", body)
        assert (status, answer["tokens"]) == (200, item[key])


@pytest.mark.parametrize("item", TOKENIZE, ids=range(len(TOKENIZE)))
def test_detokenize_gives_the_text_back(daemon, item):
    status, answer = daemon.post("/detokenize", {"tokens": item["ids_no_parse_special"]})
    assert status == 200
    assert answer["content"] == bytes.fromhex(item["utf8_hex"]).decode()


def test_vllm_names(daemon, model):
    """vLLM says prompt for content, and prompt for the text that comes back."""
    status, answer = daemon.post("/tokenize", {"model": model, "prompt": "Hello, world!"})
    assert status == 200 and answer["tokens"] == [19556, 28, 905, 17]
    status, answer = daemon.post("/detokenize", {"model": model, "tokens": [19556, 28, 905, 17]})
    assert status == 200 and answer["prompt"] == "Hello, world!"


def test_detokenize_refuses_ids_out_of_range(daemon):
    for ids in ([-1], [49152], [2**40]):
        status, answer = daemon.post("/detokenize", {"tokens": ids})
        assert status == 400 and str(ids[0]) in answer["error"]["message"]


def test_health(daemon):
    assert daemon.get("/health/live")[0] == 200
    assert daemon.get("/health/ready")[0] == 200


def test_metrics(daemon, client, model):
    before = daemon.wait_idle()
    answer = client.completions.create(model=model, prompt="The capital of France is", max_tokens=7, temperature=0)
    after = daemon.wait_idle()

    def grew(name):
        return after[name] - before.get(name, 0)

    assert grew("mokume_prompt_tokens_total") == answer.usage.prompt_tokens == 5
    assert grew("mokume_generated_tokens_total") == 7
    assert grew("mokume_time_to_first_token_seconds_count") == 1
    assert grew("mokume_time_between_tokens_seconds_count") == 6
    assert after["mokume_kv_pages_total"] > 0
    stages = [name for name in after if name.startswith("mokume_stage_busy_seconds_total{")]
    assert len(stages) == 2 and all(grew(name) > 0 for name in stages)
    outcomes = [name for name in after if name.startswith("mokume_requests_total{")]
    assert sum(grew(name) for name in outcomes) == 1
