"""The part of tools/gpu-check that measures whole models, and llama.cpp beside them."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from gpu_parts import GENERATE, GIB, PROMPT, ROOT, PartCut, PartFailed, Setup
from gpu_run import Cut, Failed

SHAPE = "qwen3.5-9b"
SECONDS = 40  # that making, loading and measuring one takes at least
ROUNDS = 3
# A simulated GPU steps this in place of what is synthesized.
TINY = ROOT / "tests" / "data" / "gguf" / "tiny-qwen3_5.gguf"


@dataclass(frozen=True)
class Kind:
    name: str
    file: str           # of the model, below the folder of models
    bytes: float        # of it, about
    peer: bool = False  # llama.cpp may be able to read it


KINDS = [Kind("nvfp4", f"{SHAPE}.nvfp4.gguf", 8.1e9, True), Kind("int8", f"{SHAPE}.int8", 11.1e9),
         Kind("fp16", f"{SHAPE}.fp16.gguf", 18.0e9, True)]
# What llama.cpp has in place of int8.
FOR_PEERS = [Kind("q8_0", f"{SHAPE}.q8_0.gguf", 9.6e9, True)]


def models(setup: Setup, memory_rate: float | None) -> dict:
    """`memory_rate`: bytes/s of the part before; None where it is not known."""
    name = TINY.stem if setup.simulated else SHAPE
    result = {"model": name, "prompt": PROMPT, "generate": GENERATE, "rows": [], "left_out": [], "failed": []}
    for kind in KINDS + (FOR_PEERS if setup.llama_bench else []):
        why = why_not(setup, kind)
        if why:
            result["left_out"].append({"weights": kind.name, "why": why})
            continue
        try:
            setup.runner.need(SECONDS if not setup.simulated else 1, f"measuring {kind.name}")
            result["rows"].append(measure(setup, kind, memory_rate))
        except Cut as cut:
            raise PartCut(f"{cut} ({kind.name})", result) from None
        except Failed as error:
            result["failed"].append(f"{kind.name}: {error}")
    if result["failed"]:
        raise PartFailed(result["failed"][0], result)
    return result


def why_not(setup: Setup, kind: Kind) -> str:
    if setup.simulated:
        return ""
    needed = kind.bytes + 2 * GIB
    if needed > setup.gpu.memory_bytes:
        return f"takes about {needed / GIB:.0f} GiB of the GPU's memory, which has {setup.gpu.memory_bytes / GIB:.0f}"
    folder = setup.models or setup.scratch
    free = shutil.disk_usage(folder).free
    if not (folder / kind.file).exists() and kind.bytes * 1.05 > free:
        return f"takes about {kind.bytes / GIB:.0f} GiB in {folder}, where {free / GIB:.0f} are free (--models DIR elsewhere)"
    return ""


def measure(setup: Setup, kind: Kind, memory_rate: float | None) -> dict:
    path = (setup.models or setup.scratch) / kind.file
    made = not path.exists()
    try:
        if made:
            synthesize(setup, kind, path)
        row = {"weights": kind.name, **ours(setup, kind, TINY if setup.simulated else path)}
        if memory_rate and not setup.simulated:
            row["share_of_memory"] = row["decode"]["median"] * row["read_bytes_per_token"] / memory_rate
        if setup.llama_bench and kind.peer:
            row["llama_cpp"] = peer(setup, kind, path)
        return row
    finally:
        if made and not setup.models:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def synthesize(setup: Setup, kind: Kind, path: Path) -> None:
    shape = ["qwen3.5-0.8b", "--layers", 4] if setup.simulated else [SHAPE]
    setup.runner.run(f"synthesize {kind.name}", [setup.program("mokume"), "synthesize", path, "--like", *shape, "--format",
                                                 kind.name, "--json"], 240)


def ours(setup: Setup, kind: Kind, path: Path) -> dict:
    lengths = [PROMPT, GENERATE, ROUNDS] if not setup.simulated else [16, 4, 1]
    sizes = [part for pair in zip(("--prompt", "--generate", "--repeat"), lengths) for part in pair]
    answer = json.loads(setup.runner.run(
        f"bench {kind.name}",
        [setup.program("mokume"), "bench", "--config", setup.config(path, "bench"), *sizes, "--json"], 240))
    row = {"read_bytes_per_token": answer["read_bytes_per_token"]}
    if not setup.simulated:  # what it takes here says nothing
        row |= {"decode": answer["decode_tokens_per_second"], "prefill": answer["prompt_tokens_per_second"]}
    return row


def peer(setup: Setup, kind: Kind, path: Path) -> dict:
    """llama-bench's own figures, of the same file on the same GPU; what it cannot read is no failure of ours."""
    command = [setup.llama_bench, "-m", path, "-p", PROMPT, "-n", GENERATE, "-r", ROUNDS, "-ngl", 999, "-o", "json"]
    which = {} if setup.simulated else {"CUDA_VISIBLE_DEVICES": str(setup.gpu.index)}
    try:
        tests = json.loads(setup.runner.run(f"llama.cpp {kind.name}", command, 120, which))
    except (Failed, json.JSONDecodeError) as error:
        return {"error": str(error)}
    found = {}
    for test in tests:
        samples = sorted(test["samples_ts"])
        spread = {"min": samples[0], "median": samples[len(samples) // 2], "max": samples[-1]}
        found["decode" if test["n_gen"] else "prefill"] = spread
    return found
