"""CUDA devices as far as they can be seen without one: what is listed, and stages on simulated GPUs."""

import json
import subprocess
from pathlib import Path

import pytest

from daemon import BIN, ROOT, Daemon

TINY = ROOT / "tests" / "data" / "gguf" / "tiny-llama.gguf"
DATA = ROOT / "tests" / "data"


def run(program: str, *arguments) -> subprocess.CompletedProcess:
    command = [str(BIN / program), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)


def devices(simulated: str = "kind: cuda-sim") -> str:
    return f"""\
devices:
  - {{name: cpu0, kind: cpu, threads: 1}}
  - {{name: gpu0, {simulated}}}
placement:
  stages:
    - {{device: cpu0, layers: 0}}
    - {{device: gpu0, layers: 1-2}}
    - {{device: cpu0, layers: 3}}
"""


def test_devices_are_listed():
    table = run("mokume", "devices")
    assert table.returncode == 0, table.stderr
    assert table.stdout.startswith("cpu ") and "\ncuda" in table.stdout
    answer = json.loads(run("mokume", "devices", "--json").stdout)
    assert answer["cpu"]["available_bytes"] > 0
    if answer["cuda"]:
        assert all(gpu["uuid"] in table.stdout for gpu in answer["cuda"])
    else:
        assert answer["cuda_missing"] in table.stdout
        missing = ("built without CUDA", "no CUDA driver", "no CUDA device", "the CUDA driver")
        assert answer["cuda_missing"].startswith(missing)
    cublas = answer.get("cublas") or answer["cublas_missing"]
    assert f"\ncublas   {'none: ' if 'cublas_missing' in answer else ''}{cublas}\n" in table.stdout
    assert cublas.startswith(("cuBLASLt 1", "built without CUDA", "no cuBLASLt ("))


def test_a_gpu_that_is_not_there_is_named(tmp_path):
    daemon = Daemon(tmp_path, devices("kind: cuda, index: 255"), model=TINY)
    result = run("mokumed", "--config", daemon.config)
    assert result.returncode == 1
    assert "[cuda] device gpu0: " in result.stderr


def test_simulated_devices_need_leave(tmp_path):
    daemon = Daemon(tmp_path, devices(), model=TINY)
    for arguments in (["--check"], []):
        result = run("mokumed", *arguments, "--config", daemon.config)
        assert result.returncode == 1
        assert "--allow-simulated" in result.stderr and "mokumed.yaml:5" in result.stderr
    assert run("mokumed", "--allow-simulated", "--check", "--config", daemon.config).returncode == 0


@pytest.mark.parametrize("name, most", [("gguf/tiny-qwen3_5.gguf", 1e-2), ("hf/tiny-qwen3-nvfp4", 2e-3)])
def test_exact_logits(tmp_path, name, most):
    model = DATA / name
    expected = model / "expected.safetensors" if model.is_dir() else model.with_suffix(".expected.safetensors")
    last = 7 if "qwen3_5" in name else 4
    config = tmp_path / "f.yaml"
    config.write_text(f"model: {{path: {model}}}\n" + devices().replace("1-2", f"1-{last - 1}").replace(
        "layers: 3", f"layers: {last}"))
    ran = run("mokume", "eval", "logits", "--exact", "--config", config, "--expected", expected, "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["max_error"] < most


BODY = {"model": "smollm2-135m", "prompt": [5, 6, 7], "max_tokens": 3, "temperature": 0}


def starts(daemon: Daemon) -> bool:
    try:
        daemon.start()
    except AssertionError:
        assert "device gpu0" in daemon.log_end()
        return False
    return True


def faulty_daemon(folder: Path, fault: str) -> Daemon:
    """Started, with a fault that comes with the first request: the first that loading does not meet."""
    scheduler = "scheduler: {max_sequences: 2, prefill_chunk_tokens: 16, kv_cache: {memory: 1MiB}}\n"

    def daemon(at: int) -> Daemon:
        return Daemon(folder, devices(f"kind: cuda-sim, fault: {fault} {at}"), scheduler, TINY, ("--allow-simulated",))

    fails, loads = 0, 1024
    while loads - fails > 1:
        middle = daemon((fails + loads) // 2)
        if starts(middle):
            loads = (fails + loads) // 2
        else:
            fails = (fails + loads) // 2
        middle.stop()
    assert fails > 0, "loading met no fault"
    last = daemon(loads)
    last.start()
    return last


@pytest.mark.parametrize("fault, goes_on", [("copy", True), ("lost", False)])
def test_a_daemon_outlives_its_gpu(tmp_path, fault, goes_on):
    daemon = faulty_daemon(tmp_path, fault)
    try:
        status, answer = daemon.post("/v1/completions", BODY)
        assert status >= 500, answer
        assert "device gpu0" in answer["error"]["message"]
        assert daemon.get("/health/live")[0] == 200
        status, answer = daemon.post("/v1/completions", BODY)
        assert status == 200 if goes_on else status >= 500, answer
        daemon.wait_idle()
    finally:
        assert daemon.stop() == 0
