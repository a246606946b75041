"""The tool's numbers against those of llama.cpp and of transformers in F32 for the same file.

The text is the first 30,720 bytes of the GPL-3, which Debian carries; 12 chunks of 512 tokens, the second half of each
scored. transformers, from the same weights and ids, gives 18.4527; llama.cpp, whose activations are rounded to 8 bits,
18.557.
"""

import json
import math
import struct
import subprocess
from pathlib import Path

import pytest

from daemon import BIN, MODEL_FILE, ROOT

GREEDY = json.loads((ROOT / "tests/data/llama_cpp/greedy.Q4_1.json").read_text())["items"]
GPL = Path("/usr/share/common-licenses/GPL-3")


def mokume(*arguments, timeout: float = 280) -> str:
    command = [str(BIN / "mokume"), *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "gpl.txt"
    path.write_bytes(GPL.read_bytes()[:30720])
    return path


def perplexity(text, *options) -> float:
    answer = mokume("eval", "perplexity", "--model", MODEL_FILE, "--text", text, "--context", 512, "--json", *options)
    return json.loads(answer)["perplexity"]


def test_perplexity(text):
    assert 18.3 < perplexity(text) < 18.60


def test_exact_perplexity(text):
    assert math.isclose(perplexity(text, "--exact"), 18.453, rel_tol=0.0005)


def read_logits(path: Path) -> tuple[int, int, memoryview]:
    """(rows, columns, values) of the one F32 tensor "logits" of a safetensors file."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    assert list(header) == ["logits"] and header["logits"]["dtype"] == "F32"
    start, end = header["logits"]["data_offsets"]
    rows, columns = header["logits"]["shape"]
    assert end - start == rows * columns * 4
    return rows, columns, memoryview(data[8 + size + start : 8 + size + end]).cast("f")


def logprob(row, token: int) -> float:
    top = max(row)
    return row[token] - top - math.log(math.fsum(math.exp(value - top) for value in row))


@pytest.mark.parametrize("item", GREEDY, ids=range(len(GREEDY)))
def test_logprobs_along_saved_answers(tmp_path, item):
    """Row t holds the logits after token t, so row t - 1 scores token t."""
    tokens = item["prompt_ids"] + item["ids"]
    (tmp_path / "ids.json").write_text(json.dumps(tokens))
    output = tmp_path / "out.safetensors"
    mokume("eval", "logits", "--model", MODEL_FILE, "--tokens", tmp_path / "ids.json", "--output", output)
    rows, columns, values = read_logits(output)
    assert (rows, columns) == (len(tokens), 49152)
    differences = []
    for step, expected in enumerate(item["steps"]):
        row = len(item["prompt_ids"]) + step - 1
        assert expected["id"] == tokens[row + 1]
        found = logprob(values[row * columns : (row + 1) * columns], expected["id"])
        differences.append(abs(found - expected["logprob"]))
    assert sum(differences) / len(differences) < 0.05


def test_inspect_and_bench():
    assert "llama" in mokume("inspect", MODEL_FILE)
    answer = json.loads(mokume("bench", "--model", MODEL_FILE, "--prompt", 64, "--generate", 8, "--sequences", 1,
                               "--threads", 2, "--repeat", 2, "--json"))
    for key in ("prompt_tokens_per_second", "decode_tokens_per_second"):
        assert 0 < answer[key]["min"] <= answer[key]["median"] <= answer[key]["max"]


@pytest.mark.parametrize("arguments", [
    ["eval", "perplexity"], ["eval", "perplexity", "--model", "none.gguf", "--text", "README.md"],
    ["eval", "logits", "--model", MODEL_FILE, "--tokens", "README.md", "--output", "/dev/null"], ["nothing"],
    ["inspect", "README.md"], ["inspect", "."], ["bench", "--model", MODEL_FILE, "--prompt", "-1"],
    ["bench", "--model", MODEL_FILE, "--threads", "99999999999"],
    ["bench", "--config", "configs/quickstart.yaml", "--threads", "2"],
], ids=lambda arguments: " ".join(map(str, arguments))[:30])
def test_wrong_use_is_an_error(arguments):
    result = subprocess.run([str(BIN / "mokume"), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                            timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode > 0, "ended by a signal, or took what is wrong"
    assert result.stderr.strip()
