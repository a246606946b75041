"""Starting, checking and ending: what the operator sees."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from daemon import BIN, MODEL_FILE, ONE_STAGE, ROOT, TWO_STAGES, Daemon

PROMPTS = ["The capital of France is", "Once upon a time", "A list of fruits: apple," * 40]


def mokumed(*arguments) -> subprocess.CompletedProcess:
    command = [str(BIN / "mokumed"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("config", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_example_configurations_are_right(tmp_path, config):
    """With the demo model in the place of theirs, which may be a container's."""
    text, models = re.subn(r"(?<=path: )[^\s}]+", str(MODEL_FILE), config.read_text())
    assert models == 1
    copy = tmp_path / config.name
    copy.write_text(text)
    result = mokumed("--check", "--config", copy)
    assert result.returncode == 0, result.stderr


def test_there_are_example_configurations():
    assert (ROOT / "configs" / "quickstart.yaml").is_file()


def test_check_prints_the_placement(tmp_path):
    result = mokumed("--check", "--config", Daemon(tmp_path).config)
    assert result.returncode == 0, result.stderr
    assert "cpu0" in result.stdout and "cpu1" in result.stdout


@pytest.mark.parametrize("wrong, expected", [
    (TWO_STAGES.replace("15-29", "16-29"), ["15"]),
    (TWO_STAGES.replace("15-29", "14-29"), ["14"]),
    (TWO_STAGES.replace("15-29", "15-30"), ["30"]),
    (TWO_STAGES.replace("device: cpu1", "device: cpu7"), ["cpu7"]),
    (TWO_STAGES.replace("threads", "treads"), ["treads", "threads"]),
    (TWO_STAGES + "placement: {}\n", ["placement"]),
    (TWO_STAGES.replace("threads: 1", "threads: -1"), ["threads"]),
    ("devices: [", []),
], ids=["gap", "overlap", "too many", "unknown device", "misspelt", "twice", "negative", "not yaml"])
def test_wrong_configurations_are_explained(tmp_path, wrong, expected):
    """Status other than 0, and a message with file and line, in --check and when serving alike."""
    config = Daemon(tmp_path, wrong).config
    for arguments in (["--check", "--config", config], ["--config", config]):
        result = mokumed(*arguments)
        assert result.returncode > 0, "ended by a signal or not at all"
        output = result.stderr + result.stdout
        assert "mokumed.yaml:" in output
        assert [word for word in expected if word not in output] == []


def test_missing_and_broken_models(tmp_path):
    truncated = tmp_path / "truncated.gguf"
    truncated.write_bytes(MODEL_FILE.read_bytes()[:1_000_000])
    for path in (tmp_path / "none.gguf", truncated, ROOT / "README.md", tmp_path):
        daemon = Daemon(tmp_path)
        daemon.config.write_text(daemon.config.read_text().replace(str(MODEL_FILE), str(path)))
        result = mokumed("--config", daemon.config)
        assert result.returncode > 0
        assert str(path) in result.stderr + result.stdout


def test_a_taken_port_is_an_error(tmp_path):
    daemon = Daemon(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", daemon.http_port))
        taken.listen()
        result = mokumed("--config", daemon.config)
    assert result.returncode > 0
    assert str(daemon.http_port) in result.stderr + result.stdout


def test_unknown_option_and_no_config():
    assert mokumed().returncode > 0
    assert mokumed("--no-such-option").returncode > 0
    assert mokumed("--help").returncode == 0


def answers(daemon: Daemon, model: str) -> list:
    """Tokens and their logprobs, greedy and drawn."""
    found = []
    for prompt in PROMPTS:
        for options in ({"temperature": 0}, {"temperature": 1, "seed": 11}):
            body = {"model": model, "prompt": prompt, "max_tokens": 32, "logprobs": 2, **options}
            status, answer = daemon.post("/v1/completions", body, timeout=120)
            assert status == 200, answer
            found.append(answer["choices"][0]["logprobs"])
    return found


def test_one_stage_and_two_give_the_same(tmp_path, daemon, model):
    """Bit for bit, and with the prompt cut otherwise too."""
    chunks = "scheduler: {max_sequences: 8, prefill_chunk_tokens: 32}\n"
    one = Daemon(tmp_path, ONE_STAGE, chunks)
    one.start()
    try:
        assert answers(one, model) == answers(daemon, model)
    finally:
        assert one.stop() == 0


def test_sigterm_lets_a_running_answer_end(tmp_path, model):
    daemon = Daemon(tmp_path)
    daemon.start()
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": 200, "temperature": 0, "ignore_eos": True}
    results = []
    asking = threading.Thread(target=lambda: results.append(daemon.post("/v1/completions", body, timeout=120)))
    asking.start()
    until = time.monotonic() + 30
    while daemon.metrics()["mokume_requests_running"] == 0:
        assert time.monotonic() < until
        time.sleep(0.02)
    daemon.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert not daemon.ready()
    assert daemon.process.wait(60) == 0
    asking.join(10)
    status, answer = results[0]
    assert status == 200 and answer["usage"]["completion_tokens"] == 200


def test_log_as_json(tmp_path):
    daemon = Daemon(tmp_path)
    daemon.config.write_text(daemon.config.read_text() + "log: {level: info, format: json}\n")
    daemon.start()
    assert daemon.stop() == 0
    lines = daemon.log.read_text().splitlines()
    assert lines and all(isinstance(json.loads(line), dict) for line in lines)
