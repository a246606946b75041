"""The parts of tools/gpu-check. Each takes what it needs from Setup and leaves what it found in a report."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import gpu_driver
from gpu_run import Cut, Failed, Runner

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["mokume", "test_kernels_cuda", "bench_cuda_step"]
NO_GPU = 77  # what test_kernels_cuda ends with then
# Of `eval logits --exact`; a reference of qwen3_5 is itself 9e-4 away from float64.
LOGITS_ERROR, HYBRID_ERROR = 2e-3, 1e-2
PROMPT, GENERATE = 512, 128
GIB = 2**30


@dataclass
class Setup:
    runner: Runner
    gpu: gpu_driver.Gpu | None  # None: simulated
    folder: Path                # of the build
    scratch: Path
    checkpoints: list[Path]
    models: Path | None         # where models are kept; None: made here and thrown away
    llama_bench: Path | None

    @property
    def simulated(self) -> bool:
        return self.gpu is None

    def program(self, name: str) -> Path:
        path = self.folder / "bin" / name
        if not path.is_file():
            raise Failed(f"{path} is not there: ninja -C {self.folder} {' '.join(PROGRAMS)}")
        return path

    def config(self, model: Path, name: str) -> Path:
        """All layers on the GPU."""
        kind = "cuda-sim" if self.simulated else f"cuda, index: {self.gpu.index}"
        memory = "4MiB" if self.simulated else "1GiB"
        path = self.scratch / f"{name}.yaml"
        path.write_text(f"model: {{path: {json.dumps(str(model))}}}\n"
                        f"devices:\n  - {{name: gpu0, kind: {kind}}}\n"
                        f"scheduler: {{max_sequences: 1, prefill_chunk_tokens: {PROMPT}, kv_cache: {{memory: {memory}}}}}\n")
        return path


def find_nvcc() -> Path:
    """Where cmake/cuda.cmake looks for it."""
    cuda_path = os.environ.get("CUDA_PATH")
    places = [os.environ.get("CUDACXX"), cuda_path and f"{cuda_path}/bin/nvcc", "nvcc", "/usr/local/cuda/bin/nvcc"]
    for place in filter(None, places):
        if found := shutil.which(place):
            return Path(found)
    raise Failed("no nvcc here: install the CUDA toolkit, 12.8 or later, or give a build of another machine with --build")


def build(setup: Setup) -> dict:
    nvcc = find_nvcc()
    configure = ["cmake", "-S", ROOT, "--preset", "cuda", "-B", setup.folder,
                 f"-DMOKUME_CUDA_ARCHITECTURES={setup.gpu.architecture}"]
    hint = "; tools/quickstart --once installs what a build needs, but for CUDA"
    for tool in ("cmake", "ninja"):
        if not shutil.which(tool):
            raise Failed(f"{tool} is not installed{hint}")
    try:
        setup.runner.run("configure", configure, 120, {"CUDACXX": str(nvcc)})
    except Failed as error:
        raise Failed(f"{error}{hint}") from None
    # Where time runs out, the next call goes on from here.
    setup.runner.run("build", ["ninja", "-C", setup.folder, *PROGRAMS], 3600)
    return {"nvcc": str(nvcc), "architecture": setup.gpu.architecture}


def cases(setup: Setup) -> dict:
    """The list that runs under the executor on every machine."""
    report = setup.scratch / "cases.json"
    which = "simulated" if setup.simulated else setup.gpu.index
    text = setup.runner.run("kernel cases", [setup.program("test_kernels_cuda"), f"--gpu={which}"], 240,
                            {"GTEST_OUTPUT": f"json:{report}"}, statuses=(0, 1, NO_GPU))
    if not report.exists():
        raise Failed(text.strip().splitlines()[-1] if text.strip() else "test_kernels_cuda said nothing")
    found = [case for suite in json.loads(report.read_text())["testsuites"] for case in suite["testsuite"]]
    failed = [f"{case['classname']}.{case['name']}" for case in found if case.get("failures")]
    skipped = sum(case.get("result") == "SKIPPED" for case in found)
    result = {"cases": len(found) - skipped, "skipped": skipped, "failed": failed}
    if failed or not result["cases"]:
        said = setup.runner.logs / "kernel-cases.out"
        raise PartFailed(f"{len(failed)} of {result['cases']} failed: {', '.join(failed[:5])} ({said})", result)
    return result


class PartFailed(Failed):
    """With what was found all the same."""

    def __init__(self, text: str, found: dict):
        super().__init__(text)
        self.found = found


def reference_checkpoints(folder: Path) -> list[tuple[Path, Path]]:
    """Models with what a reference implementation answers, in `folder` and one below it."""
    found = []
    for path in sorted(folder.glob("*")) + sorted(folder.glob("*/*")):
        expected = path / "expected.safetensors" if path.is_dir() else path.with_suffix(".expected.safetensors")
        if (path.is_dir() or path.suffix == ".gguf") and expected.is_file():
            found.append((path, expected))
    return found


def logits(setup: Setup) -> dict:
    program = setup.program("mokume")
    models = [pair for folder in setup.checkpoints for pair in reference_checkpoints(folder)]
    if setup.simulated:  # the others take minutes there, and tests/unit/device_cuda has them
        models = [pair for pair in models if pair[0].stem in ("tiny-llama", "tiny-qwen3_5")]
    if not models:
        raise Failed(f"no reference checkpoints in {', '.join(map(str, setup.checkpoints))}")
    result = {"checkpoints": 0, "largest_error": 0.0, "failed": []}
    for number, (model, expected) in enumerate(models):
        title = f"logits {number + 1}/{len(models)} {model.name}"
        command = [program, "eval", "logits", "--exact", "--config", setup.config(model, "logits"), "--expected", expected,
                   "--json"]
        bound = HYBRID_ERROR if "qwen3_5" in str(model) else LOGITS_ERROR
        try:
            answer = json.loads(setup.runner.run(title, command, 120))
        except Failed as error:
            result["failed"].append(f"{model.name}: {error}")
            continue
        except Cut as cut:
            raise PartCut(f"{cut}, at {model.name}, {number} of {len(models)}", result) from None
        result["checkpoints"] += 1
        result["largest_error"] = max(result["largest_error"], answer["max_error"])
        if not answer["max_error"] < bound:
            result["failed"].append(f"{model.name}: error {answer['max_error']:.2g}, {bound:g} is allowed")
        elif answer["greedy_same"] != answer["greedy_decided"]:
            result["failed"].append(f"{model.name}: other tokens than the reference")
    if result["failed"]:
        raise PartFailed(result["failed"][0], result)
    return result


class PartCut(Cut):
    """With what was found until then."""

    def __init__(self, text: str, found: dict):
        super().__init__(text)
        self.found = found


def layers(setup: Setup) -> dict:
    """Memory's own rate, and steps of layers against one kernel an op."""
    which = ["--simulated", "--model", "tiny", "--layers", 4, "--rounds", 1] if setup.simulated else [
        "--gpu", setup.gpu.index]
    setup.runner.need(20, "it")
    return json.loads(setup.runner.run("layers", [setup.program("bench_cuda_step"), *which, "--json"], 180))
