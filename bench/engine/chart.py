#!/usr/bin/env python3
"""Draws a report of `compare.py speed --json` as bars: decode and prefill at each number of threads.

usage: chart.py REPORT.json OUT.svg
"""

import json
import math
import sys
from html import escape
from pathlib import Path

COLOURS = {"mokume": "#1f6feb", "llama.cpp": "#e08a1e", "OpenVINO GenAI": "#7a8594"}
WIDTH, MARGIN, LEFT = 900, 20, 64
PANEL, BARS = 270, 180  # heights of a panel and of its tallest bar
HEAD = 58


def text(x: float, y: float, content: str, size: int = 12, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {extra}>{escape(content)}</text>'


def scale_top(highest: float) -> float:
    """A round number at or above `highest`, of which a quarter is round too."""
    step = 10 ** math.floor(math.log10(highest))
    return next(factor * step for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if factor * step >= highest)


def bar(x: float, width: float, base: float, figures: dict, top: float, colour: str) -> str:
    height = figures["median"] / top * BARS
    low, high = (base - figures[key] / top * BARS for key in ("min", "max"))
    middle = x + width / 2
    return "".join([
        f'<rect x="{x:.1f}" y="{base - height:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>',
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#24292f"/>',
        text(middle, min(base - height, high) - 4, f"{figures['median']:,.0f}", 11)])


def axis(base: float, top: float) -> str:
    lines = []
    for quarter in range(5):
        y = base - BARS * quarter / 4
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>')
        lines.append(text(LEFT - 6, y + 4, f"{top * quarter / 4:,.0f}", 11, "end"))
    return "".join(lines)


def panel(rows: list[dict], names: list[str], yardsticks: dict, y: float, title: str) -> str:
    """One group of bars a row; `y` is the panel's upper edge."""
    base = y + 36 + BARS
    top = scale_top(max(figures["max"] for row in rows for figures in row["engines"].values()) * 1.04)
    parts = [text(LEFT, y + 14, title, 14, "start", 'font-weight="bold"'), axis(base, top)]
    group = (WIDTH - MARGIN - LEFT) / len(rows)
    width = min(group * 0.86 / len(names), 60)
    for i, row in enumerate(rows):
        middle = LEFT + group * (i + 0.5)
        for j, name in enumerate(names):
            x = middle + (j - len(names) / 2) * width
            if name in row["engines"]:
                parts.append(bar(x + 1, width - 2, base, row["engines"][name], top, COLOURS[name]))
            else:
                parts.append(text(x + width / 2, base - 4, "-", 11))
        best = row["ratios"].get("x best peer")
        parts.append(text(middle, base + 16, row["model"], 12))
        of = f" on {yardsticks[row['model']]}" if row["model"] in yardsticks else ""
        if best:
            label = f"{best['median']:.2f} x the best peer{of}"
            parts.append(text(middle, base + 31, label, 11, extra='fill="#57606a"'))
    return "".join(parts)


def legend(names: list[str]) -> str:
    parts = []
    for i, name in enumerate(names):
        x = LEFT + i * 150
        parts.append(f'<rect x="{x}" y="32" width="12" height="12" fill="{COLOURS[name]}"/>')
        parts.append(text(x + 18, 42, name, 12, "start"))
    return "".join(parts)


def draw(report: dict) -> str:
    names = [name for name in COLOURS if any(name in row["engines"] for row in report["rows"])]
    panels = []
    for threads in dict.fromkeys(row["threads"] for row in report["rows"]):
        for metric in dict.fromkeys(row["metric"] for row in report["rows"]):
            rows = [r for r in report["rows"] if (r["threads"], r["metric"]) == (threads, metric) and r["engines"]]
            title = f"{metric}, tokens/s, {threads} thread{'s' if threads > 1 else ''}"
            if rows:
                panels.append(panel(rows, names, report["yardsticks"], HEAD + len(panels) * PANEL, title))
    height = HEAD + len(panels) * PANEL + 10
    head = f"{report['processor']}: prompt of {report['prompt']}, {report['generate']} generated; median, " \
           "lines from min to max"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="Helvetica, Arial, sans-serif" fill="#24292f">'
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>' + text(LEFT, 20, head, 12, "start") +
            legend(names) + "".join(panels) + "</svg>\n")


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())))
