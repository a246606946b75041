"""tools/gpu-check without a GPU: its whole way on a simulated one, and in front of a driver and programs that only say
what real ones would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import BIN, ROOT

TOOL = ROOT / "tools" / "gpu-check"

# Of a driver with one GPU, as far as it is asked.
DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return INIT; }
int cuDriverGetVersion(int* version) { *version = 13000; return 0; }
int cuDeviceGetCount(int* count) { *count = 1; return 0; }
int cuDeviceGet(int* device, int index) { *device = index; return 0; }
int cuDeviceGetName(char* name, int size, int device) { strncpy(name, "Made-up GPU", size); return 0; }
int cuDeviceTotalMem_v2(unsigned long* bytes, int device) { *bytes = 16ul << 30; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) { *value = attribute == 75 ? MAJOR : 0; return 0; }
"""

# What the built programs and llama-bench print of such a GPU.
PROGRAM = """#!{python}
import json, os, pathlib, sys
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
def spread(value): return dict(min=0.9 * value, median=value, max=1.1 * value)
def case(name, result, **more): return dict(name=name, classname="Suite", result=result, **more)
if "--version" in arguments:
    print("9.9.9")
elif name == "test_kernels_cuda":
    assert arguments == ["--gpu=0"], arguments
    report = dict(testsuites=[dict(testsuite=[case("a", "COMPLETED"), case("b", "SKIPPED"), {failure}])])
    pathlib.Path(os.environ["GTEST_OUTPUT"].removeprefix("json:")).write_text(json.dumps(report))
elif name == "bench_cuda_step":
    step = dict(weights="nvfp4", bytes=1e9, product_seconds=spread(1e-3), plain_seconds=spread(2e-3),
                plain_over_product=spread(2.0), share_of_memory=0.5)
    print(json.dumps(dict(gpu="x", model="qwen3.5-9b", layers=8, sequences=1, positions=1024, steps=[step], left_out=[],
                          memory_read_bytes_per_second=spread(2e12), memory_copy_bytes_per_second=spread(1.8e12))))
elif name == "llama-bench":
    assert arguments[arguments.index("-ngl") + 1] == "999"
    if "nvfp4" in arguments[1]:
        sys.exit("unknown type")
    print(json.dumps([dict(n_prompt=512, n_gen=0, samples_ts=[900, 1000, 1100]),
                      dict(n_prompt=0, n_gen=128, samples_ts=[45, 50, 55])]))
elif arguments[0] == "synthesize":
    pathlib.Path(arguments[1]).write_text("a model")
elif arguments[0] == "eval":
    print(json.dumps(dict(max_error=1e-4, greedy_same=3, greedy_decided=3)))
else:
    config = pathlib.Path(arguments[arguments.index("--config") + 1]).read_text()
    assert arguments[0] == "bench" and "kind: cuda, index: 0" in config, (arguments, config)
    print(json.dumps(dict(decode_tokens_per_second=spread(100), prompt_tokens_per_second=spread(5000),
                          read_bytes_per_token=8e9)))
"""


def check(*arguments, library: Path | None = None) -> subprocess.CompletedProcess:
    environment = dict(os.environ) | ({"LD_LIBRARY_PATH": str(library)} if library else {})
    command = [str(TOOL), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL, env=environment)


def make_driver(folder: Path, major: int = 9, init: int = 0) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "no C compiler"
    folder.mkdir()
    subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", f"-DMAJOR={major}", f"-DINIT={init}", "-o",
                    folder / "libcuda.so.1"], input=DRIVER, text=True, check=True)
    return folder


def make_build(folder: Path, failure: str = "case('c', 'COMPLETED')") -> Path:
    (folder / "bin").mkdir(parents=True)
    for name in ("mokume", "test_kernels_cuda", "bench_cuda_step", "llama-bench"):
        path = folder / "bin" / name
        path.write_text(PROGRAM.replace("{python}", sys.executable).replace("{failure}", failure))
        path.chmod(0o755)
    return folder


def test_on_a_simulated_gpu(tmp_path):
    before = set((ROOT / "build").glob("gpu-check-*"))
    ran = check("--simulated", "--build", BIN.parent, "--json", tmp_path / "report.json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert {name: part["outcome"] for name, part in report["parts"].items()} == dict.fromkeys(
        ["cases", "logits", "layers", "models"], "passed")
    found = {name: part["found"] for name, part in report["parts"].items()}
    assert found["cases"]["cases"] >= 50
    assert found["logits"]["checkpoints"] == 4 and 0 < found["logits"]["largest_error"] < 1e-2
    assert [step["weights"] for step in found["layers"]["steps"]] == ["f16", "int8", "nvfp4"]
    assert [row["weights"] for row in found["models"]["rows"]] == ["nvfp4", "int8", "fp16"]
    assert "per_second" not in json.dumps(report), "a simulated GPU has no speed"
    assert "says nothing of speed" in ran.stdout
    assert set((ROOT / "build").glob("gpu-check-*")) <= before, "something was left behind"


def test_without_a_driver():
    try:
        import ctypes
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("there is a CUDA driver here")
    except OSError:
        pass
    ran = check()
    assert ran.returncode == 2 and not ran.stdout
    assert "libcuda.so.1" in ran.stderr and "--simulated" in ran.stderr


@pytest.mark.parametrize("made, arguments, said", [
    ({"major": 7}, [], "compute capability 8.0 is the oldest"), ({"init": 100}, [], "cuInit: error 100"),
    ({}, ["--gpu", 1], "no GPU with index 1"), ({}, ["--only", "nothing"], "no part nothing"),
    ({}, ["--llama-cpp", "/none"], "/none is not there"),
], ids=str)
def test_what_cannot_be_checked(tmp_path, made, arguments, said):
    ran = check(*arguments, library=make_driver(tmp_path / "driver", **made))
    assert ran.returncode == 2 and said in ran.stderr, ran.stderr


def test_a_table_of_figures(tmp_path):
    build = make_build(tmp_path / "build")
    models = tmp_path / "models"
    ran = check("--build", build, "--models", models, "--llama-cpp", build / "bin" / "llama-bench", "--json",
                tmp_path / "report.json", library=make_driver(tmp_path / "driver"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "gpu-check: Made-up GPU, compute capability 9.0, 16.0 GiB, driver for CUDA 13.0; mokume 9.9.9"
    assert "memory: 2000 GB/s read, 1800 GB/s copied" in lines
    assert any(line.split() == ["nvfp4", "1000", "1000.0", "(900.0-1100.0)", "50%", "2000.0", "(1800.0-2200.0)", "2.00",
                                "(1.80-2.20)"] for line in lines), ran.stdout
    assert any(line.split() == ["q8_0", "100.0", "(90.0-110.0)", "40%", "5000.0", "(4500.0-5500.0)", "50.0",
                                "(45.0-55.0)", "2.00", "1000.0", "(900.0-1100.0)", "5.00"] for line in lines), ran.stdout
    assert any(line.startswith("llama.cpp, nvfp4: ") and "unknown type" in line for line in lines)
    assert any(line.startswith("left out: fp16: takes about 19 GiB of the GPU's memory") for line in lines)
    assert sorted(path.name for path in models.iterdir()) == [
        "qwen3.5-9b.int8", "qwen3.5-9b.nvfp4.gguf", "qwen3.5-9b.q8_0.gguf"]


def test_what_fails_and_what_is_cut_is_in_the_table(tmp_path):
    driver = make_driver(tmp_path / "driver")
    bad = make_build(tmp_path / "bad", "case('c', 'COMPLETED', failures=[{}])")
    ran = check("--build", bad, "--only", "cases,logits", library=driver)
    assert ran.returncode == 1
    assert "1 of 2 failed: Suite.c" in ran.stdout and "logits  passed" in ran.stdout
    ran = check("--build", bad, "--minutes", 0.001, library=driver)
    assert ran.returncode == 1
    assert all(f"{part} " in ran.stdout for part in ("cases", "logits", "layers", "models")) and "cut" in ran.stdout


def test_a_build_without_cuda_says_so(tmp_path):
    ran = check("--build", BIN.parent, "--only", "cases", library=make_driver(tmp_path / "driver"))
    assert ran.returncode == 1
    assert "built without CUDA" in ran.stdout or "CUDA driver" in ran.stdout, ran.stdout
