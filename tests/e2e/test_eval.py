"""`mokume eval logits --expected` against the answers of the reference implementation, through real files."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from daemon import BIN, ROOT

DATA = ROOT / "tests" / "data"
HYBRID_ERROR = 5e-3  # the reference itself is 9e-4 away from float64 there
ERROR = 1e-3


def checkpoints() -> list[tuple[Path, Path]]:
    directories = [(d, d / "expected.safetensors") for d in sorted((DATA / "hf").iterdir())]
    files = [(f, f.with_suffix(".expected.safetensors")) for f in sorted((DATA / "gguf").glob("*.gguf"))]
    return [(model, expected) for model, expected in directories + files if expected.exists()]


def evaluate(model: Path, expected: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [BIN / "mokume", "eval", "logits", *options, "--expected", expected, "--json"]
        + (["--model", model] if "--config" not in options else []),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_there_are_checkpoints():
    assert len(checkpoints()) >= 20


@pytest.mark.parametrize("model, expected", checkpoints(), ids=lambda path: path.name)
def test_exact_logits(model, expected):
    ran = evaluate(model, expected, "--exact")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["max_error"] < (HYBRID_ERROR if "qwen3_5" in str(model) else ERROR)
    assert report["greedy_same"] == report["greedy_decided"] > 0


@pytest.mark.parametrize("name", ["tiny-qwen3_5", "tiny-qwen3"])
def test_three_stages(name, tmp_path):
    model = DATA / "hf" / name
    layers = json.loads((model / "config.json").read_text())["num_hidden_layers"]
    cuts = [0, 1, layers // 2, layers]
    stages = [f"    - {{device: cpu{i}, layers: {a}-{b - 1}}}" for i, (a, b) in enumerate(zip(cuts, cuts[1:]))]
    config = tmp_path / "three.yaml"
    config.write_text(
        f"model: {{path: {model}}}\ndevices:\n"
        + "".join(f"  - {{name: cpu{i}, kind: cpu, threads: 1}}\n" for i in range(3))
        + "placement:\n  stages:\n"
        + "\n".join(stages)
        + "\n"
    )
    ran = evaluate(model, model / "expected.safetensors", "--exact", "--config", str(config))
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["max_error"] < HYBRID_ERROR


def test_bad_files_are_errors(tmp_path):
    model = DATA / "hf" / "tiny-llama"
    saved = (model / "expected.safetensors").read_bytes()
    size = struct.unpack("<Q", saved[:8])[0]
    bad = {
        "empty": b"",
        "cut": saved[:-1],
        "no_prompt": saved[:8] + saved[8 : 8 + size].replace(b'"prompt"', b'"tpmorp"') + saved[8 + size :],
        "ids": saved[: 8 + size] + saved[8 + size :].replace(struct.pack("<q", 1), struct.pack("<q", -1)),
    }
    for name, content in bad.items():
        path = tmp_path / name
        path.write_bytes(content)
        ran = evaluate(model, path)
        assert ran.returncode == 1 and str(path) in ran.stderr, (name, ran)
