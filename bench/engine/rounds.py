"""Rounds: some cases one after the other, each a process of its own, made again when the machine was not theirs."""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

TRIES = 6  # of one case of a round, which is left out then
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Case:
    """One engine in one setting: a command that prints one JSON object."""
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    disturbed: bool = False  # beside a busy loop on one processor


@dataclass
class Group:
    """Cases that are compared with each other, and what their rounds gave, by the cases' names."""
    labels: dict
    cases: list[Case]
    rounds: dict[int, dict[str, dict]] = field(default_factory=dict)
    cannot_read: dict[str, str] = field(default_factory=dict)
    discarded: int = 0


class BusyLoop:
    """A foreign process that takes one of the processors, the last one."""

    SOURCE = "import os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\nwhile True: pass"

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", self.SOURCE])

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def busy_seconds() -> float:
    """Processor time that anybody has used since the machine started."""
    fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS


def own_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime
               for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def run(case: Case) -> dict:
    result = subprocess.run(case.command, capture_output=True, text=True, env=os.environ | case.environment)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(case.command)}: status {result.returncode}\n{result.stderr[-2000:]}")
    return json.loads(result.stdout)


def measure(case: Case) -> tuple[dict, float]:
    """What the case printed, and the share of the processors that others took meanwhile."""
    start, busy, own = time.monotonic(), busy_seconds(), own_seconds()
    if case.disturbed:
        with BusyLoop():
            result = run(case)
    else:
        result = run(case)
    capacity = (time.monotonic() - start) * os.cpu_count()
    return result, ((busy_seconds() - busy) - (own_seconds() - own)) / capacity


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure_undisturbed(group: Group, case: Case, limit: float) -> dict | None:
    """None when the machine is not ours for that long."""
    for _ in range(TRIES):
        result, foreign = measure(case)
        if foreign <= limit:
            return result
        log(f"  {case.name} again: other processes took {foreign:.1%}")
        group.discarded += 1
    return None


def run_round(group: Group, number: int, limit: float) -> None:
    readable = [case for case in group.cases if case.name not in group.cannot_read]
    turn = number % max(len(readable), 1)
    results = {}
    for case in readable[turn:] + readable[:turn]:
        result = measure_undisturbed(group, case, limit)
        if result is None:
            log("  round left out")
            return
        if "cannot_read" in result:
            group.cannot_read[case.name] = result["cannot_read"]
            log(f"  {case.name} cannot read it: {result['cannot_read']}")
        else:
            results[case.name] = result
    group.rounds[number] = results


def run_rounds(groups: list[Group], rounds: int, limit: float) -> None:
    """`limit` is the share of the processors' time that other processes may take beside a case.
    Every round goes through all groups; what is compared with each other lies within seconds."""
    for number in range(rounds):
        for group in groups:
            log(f"round {number + 1}/{rounds}: {', '.join(f'{k} {v}' for k, v in group.labels.items())}")
            run_round(group, number, limit)
