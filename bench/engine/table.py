"""From rounds to a table: each engine's figures and their ratios as median (min-max)."""

import statistics
from dataclasses import dataclass
from typing import Callable

from engines import OURS, PEERS
from rounds import Group


@dataclass(frozen=True)
class Metric:
    name: str
    unit: str
    value: Callable[[dict], float]  # of what a case printed
    smaller_is_better: bool = False
    digits: int = 0


def rate(key: str) -> Callable[[dict], float]:
    return lambda result: result[f"{key}_tokens_per_second"]["median"]


DECODE = Metric("decode", "tokens/s", rate("decode"))
PREFILL = Metric("prefill", "tokens/s", rate("prompt"))
OVERALL = Metric("prompts and decode", "tokens/s", rate("total"))
READY = Metric("start to ready", "s", lambda r: r["ready_seconds"], True, 2)
RESIDENT = Metric("resident", "MiB", lambda r: (r["resident_bytes"] - r["interpreter_bytes"]) / 2**20, True)
ANONYMOUS = Metric("of it not of files", "MiB", lambda r: r["anonymous_bytes"] / 2**20, True)

Values = dict[str, float]  # one round of one metric, by the cases' names


def best_peer(metric: Metric, values: Values) -> float | None:
    peers = [values[name] for name in PEERS if name in values]
    return (min if metric.smaller_is_better else max)(peers) if peers else None


def summary(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ratios_to_peers(metric: Metric, own: list[Values], yardstick: list[Values]) -> dict[str, dict]:
    """Ours to each peer's, and to the best peer's of the same round."""
    peers = [name for name in PEERS if all(name in values for values in yardstick)]
    ratios = {f"x {name}": [o[OURS] / y[name] for o, y in zip(own, yardstick)] for name in peers}
    ratios["x best peer"] = [o[OURS] / best_peer(metric, y) for o, y in zip(own, yardstick)] if peers else []
    return {name: summary(values) for name, values in ratios.items() if values}


def ratio_of(first: str, second: str, rounds: list[Values]) -> dict[str, float] | None:
    pairs = [values[first] / values[second] for values in rounds if first in values and second in values]
    return summary(pairs) if pairs else None


def rows(groups: list[Group], metrics: list[Metric], ratios: Callable) -> list[dict]:
    """`ratios` (metric, group, values of each of the group's rounds by the round's number) gives them by name."""
    table = []
    for group in groups:
        for metric in metrics:
            rounds = {number: {name: metric.value(result) for name, result in results.items()}
                      for number, results in group.rounds.items()}
            names = [case.name for case in group.cases if any(case.name in values for values in rounds.values())]
            table.append(group.labels | {
                "metric": metric.name, "unit": metric.unit, "digits": metric.digits, "rounds": len(rounds),
                "discarded": group.discarded, "cannot_read": group.cannot_read,
                "engines": {name: summary([v[name] for v in rounds.values() if name in v]) for name in names},
                "ratios": ratios(metric, group, rounds) if rounds else {}})
    return table


def cell(figures: dict[str, float] | None, digits: int, suffix: str = "") -> str:
    if not figures:
        return "-"
    low, middle, high = (f"{figures[key]:,.{digits}f}" for key in ("min", "median", "max"))
    return f"{middle}{suffix} ({low}-{high})"


def markdown(table: list[dict]) -> str:
    labels = [key for key in table[0] if key in ("model", "threads", "sequences")]
    engines = list(dict.fromkeys(name for row in table for name in [*row["engines"], *row["cannot_read"]]))
    ratios = list(dict.fromkeys(name for row in table for name in row["ratios"]))
    lines = ["| " + " | ".join([*labels, "", *engines, *ratios]) + " |", "|---" * (len(labels) + 1 + len(engines) +
                                                                             len(ratios)) + "|"]
    for row in table:
        cells = [str(row[key]) for key in labels] + [f"{row['metric']}, {row['unit']}"]
        cells += ["cannot read" if name in row["cannot_read"] else cell(row["engines"].get(name), row["digits"])
                  for name in engines]
        cells += [cell(row["ratios"].get(name), 2) for name in ratios]
        lines.append("| " + " | ".join(cells) + " |")
    reasons = {(row["model"], name): why for row in table for name, why in row["cannot_read"].items()}
    notes = [f"{name} cannot read {model}: {why}" for (model, name), why in reasons.items()]
    counts = f"At least {min(r['rounds'] for r in table)} rounds of each; median (min-max)"
    return "\n".join([*lines, "", counts, *notes])
