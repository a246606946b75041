"""What the peers' rounds share: the command line, the prompts, and the JSON that `mokume bench` prints as well.

A round's process loads the model, runs once to warm up, and once to be measured. It ends with status 0 and one JSON
object, which is {"cannot_read": why} where the engine refuses the file.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

PROCESS_TICKS = os.sysconf("SC_CLK_TCK")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", type=int, required=True)
    parser.add_argument("--generate", type=int, required=True)
    parser.add_argument("--sequences", type=int, default=1)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def prompts(options: argparse.Namespace, vocabulary: int, round_number: int) -> list[list[int]]:
    """Token ids that no earlier round had, so that no cache of prefixes can answer for the engine."""
    return [[(i * 7919 + s * 104729 + round_number * 15485863 + 11) % vocabulary for i in range(options.prompt)]
            for s in range(options.sequences)]


def seconds_since_start() -> float:
    """Since this process was started, before its first instruction."""
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / PROCESS_TICKS
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def memory(process="self") -> dict[str, int]:
    """Bytes by name, of the whole process."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return {"resident_bytes": fields["Rss"], "anonymous_bytes": fields["Anonymous"]}


def report(options, seconds: tuple[float, float], ready_seconds: float, base: dict[str, int]) -> None:
    """`seconds` until the last first token, and from there to the end; `base` is memory before the engine was there."""
    prefill, decode = seconds
    generated = options.generate * options.sequences
    rates = {"prompt": options.prompt * options.sequences / prefill, "decode": (generated - options.sequences) / decode,
             "total": generated / (prefill + decode)}
    now = memory()
    print(json.dumps({f"{key}_tokens_per_second": {"median": rate} for key, rate in rates.items()}
                     | {"ready_seconds": ready_seconds} | now
                     | {"interpreter_bytes": base["resident_bytes"]}))


def refuse(why: str) -> None:
    print(json.dumps({"cannot_read": " ".join(why.split())[:300]}))
    sys.exit(0)
