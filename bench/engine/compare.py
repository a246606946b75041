#!/usr/bin/env python3
"""mokume beside llama.cpp and OpenVINO GenAI: the same file, threads and lengths, in turn, in one run; one table.

  compare.py speed      decode and prefill (time to the first token), one sequence
  compare.py batch      several sequences in one process, all prompts counted: generated tokens / time of everything
  compare.py disturbed  decode alone and beside a busy loop on one processor; the share that each engine keeps
  compare.py isa        ours with lower instruction sets (MOKUME_CPU_ISA) beside the best that the machine has
  compare.py start      from exec to ready (of the peers: Python and load included), and memory after one request

  compare.py speed --model Q8_0=m-q8_0.gguf --model INT8=m-int8/ --yardstick INT8=Q8_0 --threads 2 1 --chart speed.svg

Each case is a process of its own that loads the model, runs once to warm up and once to be measured; the order changes
from round to round. A case beside which other processes took more than 2% (--foreign) of the processors' time is made
again. Ratios are ours to the peer's of the same round. Needs `pip install llama-cpp-python openvino-genai` in the
Python that runs this; a peer that is not there is left out, and one that cannot read a file is said not to.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import chart
import engines
import table
from engines import OURS
from rounds import Case, Group, run_rounds


def peers(options, *arguments) -> list[Case]:
    return [engines.peer(name, options, *arguments) for name in options.peers]


def speed_groups(options) -> list[Group]:
    return [Group({"model": label, "threads": threads},
                  [engines.ours(options, path, threads), *peers(options, path, threads)])
            for threads in options.threads for label, path in options.models.items()]


def batch_groups(options) -> list[Group]:
    return [Group({"model": label, "threads": threads, "sequences": count},
                  [engines.ours(options, path, threads, count), *peers(options, path, threads, count)])
            for threads in options.threads for label, path in options.models.items() for count in options.sequences]


def disturbed_groups(options) -> list[Group]:
    def pair(make, name: str, *arguments):
        return [make(*arguments, name=name), make(*arguments, name=f"{name}, disturbed", disturbed=True)]

    return [Group({"model": label, "threads": threads},
                  pair(engines.ours, OURS, options, path, threads) +
                  [case for p in options.peers for case in pair(engines.peer, p, p, options, path, threads)])
            for threads in options.threads for label, path in options.models.items()]


def isa_groups(options) -> list[Group]:
    return [Group({"model": label, "threads": threads},
                  [engines.ours(options, path, threads)] +
                  [engines.ours(options, path, threads, name=isa, environment={"MOKUME_CPU_ISA": isa})
                   for isa in options.isa])
            for threads in options.threads for label, path in options.models.items()]


def start_groups(options) -> list[Group]:
    return [Group({"model": label, "threads": threads},
                  [engines.daemon(options, path, threads), *peers(options, path, threads)])
            for threads in options.threads for label, path in options.models.items()]


def peer_ratios(options, groups: list[Group]):
    """To the peers on the same file, or on the file of the group's yardstick in the same round."""
    def yardstick_of(group: Group) -> Group:
        model = options.yardsticks.get(group.labels["model"], group.labels["model"])
        return next(g for g in groups if g.labels == group.labels | {"model": model})

    def ratios(metric, group, rounds):
        other = yardstick_of(group).rounds
        both = [n for n in rounds if n in other and OURS in rounds[n]]
        yardstick = [{name: metric.value(result) for name, result in other[n].items()} for n in both]
        return table.ratios_to_peers(metric, [rounds[n] for n in both], yardstick) if both else {}

    return ratios


def disturbed_ratios(_options, _groups):
    def ratios(_metric, group, rounds):
        names = [case.name for case in group.cases if not case.disturbed]
        kept = {f"{n} keeps": table.ratio_of(f"{n}, disturbed", n, list(rounds.values())) for n in names}
        return {name: figures for name, figures in kept.items() if figures}

    return ratios


def isa_ratios(_options, _groups):
    def ratios(_metric, group, rounds):
        return {f"{case.name} / best": table.ratio_of(case.name, OURS, list(rounds.values()))
                for case in group.cases if case.name != OURS}

    return ratios


# Groups, metrics, ratios, lengths of prompt and generation.
MODES = {
    "speed": (speed_groups, [table.DECODE, table.PREFILL], peer_ratios, (512, 128)),
    "batch": (batch_groups, [table.OVERALL], peer_ratios, (128, 128)),
    "disturbed": (disturbed_groups, [table.DECODE], disturbed_ratios, (512, 128)),
    "isa": (isa_groups, [table.DECODE, table.PREFILL], isa_ratios, (512, 128)),
    "start": (start_groups, [table.READY, table.RESIDENT, table.ANONYMOUS], peer_ratios, (512, 128)),
}


def labelled(values: list[str]) -> dict[str, str]:
    pairs = (value.rpartition("=") for value in values)
    return {label or Path(path).name: path for label, _, path in pairs}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", default="speed", choices=MODES)
    parser.add_argument("--model", action="append", required=True, metavar="[LABEL=]PATH")
    parser.add_argument("--yardstick", action="append", default=[], metavar="LABEL=LABEL",
                        help="the first one's ratios are to what the peers reach on the second")
    parser.add_argument("--mokume", default=str(engines.ROOT / "build/release/bin/mokume"))
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--sequences", type=int, nargs="+", default=[1, 8, 32], help="of batch")
    parser.add_argument("--isa", nargs="+", default=["avx2"], help="of isa: values of MOKUME_CPU_ISA")
    parser.add_argument("--prompt", type=int)
    parser.add_argument("--generate", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--foreign", type=float, default=0.02,
                        help="share of the processors' time that other processes may take beside a case")
    parser.add_argument("--json", action="store_true", help="print the report, which chart.py draws, too")
    parser.add_argument("--chart", metavar="FILE.svg", help="of speed: draw the bars")
    options = parser.parse_args()
    options.models, options.yardsticks = labelled(options.model), labelled(options.yardstick)
    for label in [*options.yardsticks.keys(), *options.yardsticks.values()]:
        if label not in options.models:
            parser.error(f"--yardstick: no --model {label}=...")
    if options.chart and options.mode != "speed":
        parser.error("--chart is of speed")
    options.peers = engines.peer_names()
    return options


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors"


def main() -> None:
    options = parse_options()
    make_groups, metrics, make_ratios, lengths = MODES[options.mode]
    options.prompt, options.generate = options.prompt or lengths[0], options.generate or lengths[1]
    groups = make_groups(options)
    run_rounds(groups, options.rounds, options.foreign)
    rows = table.rows(groups, metrics, make_ratios(options, groups))
    report = {"mode": options.mode, "processor": processor(), "versions": engines.versions(), "prompt": options.prompt,
              "generate": options.generate, "yardsticks": options.yardsticks, "rows": rows}
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"{options.mode}, prompt {options.prompt}, {options.generate} generated; {report['processor']}; " +
              ", ".join(f"{name} {version}" for name, version in report["versions"].items()) + "\n")
        print(table.markdown(rows))
    if options.chart:
        Path(options.chart).write_text(chart.draw(report))
    if any(len(group.rounds) < options.rounds for group in groups):
        sys.exit("the machine is not quiet enough to measure on: some rounds are missing")


if __name__ == "__main__":
    main()
