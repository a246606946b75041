#!/usr/bin/env python3
"""Decode and prompt speed of mokume beside llama.cpp: the same file, threads and lengths, in turn, in one run.

usage: bench/engine/compare.py --model models/M.gguf [--threads 2] [--prompt 512] [--generate 128] [--rounds 5] [--json]

Each engine is a process of its own that loads the model, runs one round to warm up and one that counts. The order changes
from round to round. A round in which other processes took more than 2% of the processors' time is discarded and made again.
Needs `pip install llama-cpp-python` in the Python that runs this.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOREIGN_LIMIT = 0.02
TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Processor time that anybody has used since the machine started."""
    fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS


def own_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime
               for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def mokume_command(options) -> list[str]:
    return [options.mokume, "bench", "--model", options.model, "--prompt", str(options.prompt), "--generate",
            str(options.generate), "--threads", str(options.threads), "--repeat", "1", "--json"]


def llama_command(options) -> list[str]:
    return [sys.executable, str(ROOT / "bench/engine/llama_cpp_round.py"), options.model, str(options.prompt),
            str(options.generate), str(options.threads)]


def measure(command: list[str]) -> dict[str, float]:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: status {result.returncode}\n{result.stderr[-2000:]}")
    report = json.loads(result.stdout)
    return {key: report[f"{key}_tokens_per_second"]["median"] for key in ("prompt", "decode")}


def run_round(commands: dict[str, list[str]], order: list[str]) -> tuple[dict, float]:
    start, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    results = {name: measure(commands[name]) for name in order}
    capacity = (time.monotonic() - start) * os.cpu_count()
    foreign = (busy_seconds() - busy) - (own_seconds() - own)
    return results, foreign / capacity


def summary(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mokume", default=str(ROOT / "build/release/bin/mokume"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    commands = {"mokume": mokume_command(options), "llama.cpp": llama_command(options)}
    rounds, discarded = [], 0
    while len(rounds) < options.rounds:
        order = list(commands) if len(rounds) % 2 == 0 else list(commands)[::-1]
        results, foreign = run_round(commands, order)
        if foreign > FOREIGN_LIMIT:
            discarded += 1
            print(f"round discarded: other processes took {foreign:.1%}", file=sys.stderr)
            if discarded > 3 * options.rounds:
                sys.exit("the machine is not quiet enough to measure on")
            continue
        rounds.append(results)

    report = {"model": options.model, "threads": options.threads, "prompt": options.prompt,
              "generate": options.generate, "rounds": len(rounds), "discarded": discarded}
    for what in ("decode", "prompt"):
        report[what] = {name: summary([r[name][what] for r in rounds]) for name in commands}
        report[what]["ratio"] = summary([r["mokume"][what] / r["llama.cpp"][what] for r in rounds])
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{options.model}, {options.threads} threads, {options.prompt} prompt, {options.generate} generated, "
          f"{len(rounds)} rounds ({discarded} discarded); median (min-max)")
    for what in ("decode", "prompt"):
        for name, s in report[what].items():
            unit = "x" if name == "ratio" else " tokens/s"
            print(f"{what:7} {name:10} {s['median']:9.2f}{unit} ({s['min']:.2f}-{s['max']:.2f})")


if __name__ == "__main__":
    main()
