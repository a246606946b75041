"""The report of tools/gpu-check as text."""

GB = 1e9


def spread(values: dict, digits: int = 1) -> str:
    return f"{values['median']:.{digits}f} ({values['min']:.{digits}f}-{values['max']:.{digits}f})"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f}%"


def columns(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header, *rows]]


def parts(report: dict) -> list[str]:
    rows = []
    for name, part in report["parts"].items():
        found = part.get("found", {})
        text = part.get("why", "")
        if not text and name == "cases":
            text = f"{found['cases']} cases against their references, {found['skipped']} skipped that only count"
        if not text and name == "logits":
            text = f"{found['checkpoints']} checkpoints, largest error {found['largest_error']:.1e}"
        if not text and name == "build":
            text = f"for {found['architecture']}"
        rows.append([name, part["outcome"], f"{part['seconds']:.0f} s", text])
    return columns(["part", "outcome", "took", ""], rows)


def layers(found: dict) -> list[str]:
    lines = []
    if "memory_read_bytes_per_second" in found:
        read, copy = (found[f"memory_{what}_bytes_per_second"] for what in ("read", "copy"))
        lines += [f"memory: {read['median'] / GB:.0f} GB/s read, {copy['median'] / GB:.0f} GB/s copied", ""]
    lines.append(f"Decode step of {found['layers']} layers of {found['model']}, {found['sequences']} sequence at position "
                 f"{found['positions'] - 1}; one kernel an op: the same weights, activations in F32")
    rows = []
    for step in found["steps"]:
        if "product_seconds" not in step:
            rows.append([step["weights"], f"{step['bytes'] / 1e6:.0f}", "-", "-", "-", "-"])
            continue
        micro = [{key: 1e6 * value for key, value in step[f"{which}_seconds"].items()} for which in ("product", "plain")]
        rows.append([step["weights"], f"{step['bytes'] / 1e6:.0f}", spread(micro[0]), percent(step["share_of_memory"]),
                     spread(micro[1]), spread(step["plain_over_product"], 2)])
    header = ["weights", "MB", "us", "of memory", "one kernel an op, us", "times as long"]
    return lines + columns(header, rows) + left_out(found)


def models(found: dict) -> list[str]:
    lines = [f"{found['model']} with random weights, a prompt of {found['prompt']}, {found['generate']} generated, tokens/s "
             "as median (min-max)"]
    with_peer = any("llama_cpp" in row for row in found["rows"])
    rows, notes = [], []
    for row in found["rows"]:
        cells = [row["weights"]]
        cells += [spread(row[what]) if what in row else "-" for what in ("decode", "prefill")]
        cells.insert(2, percent(row.get("share_of_memory")))
        if with_peer:
            theirs = row.get("llama_cpp", {})
            for what in ("decode", "prefill"):
                there = what in theirs
                cells.append(spread(theirs[what]) if there else "-")
                ratio = there and what in row and row[what]["median"] / theirs[what]["median"]
                cells.append(f"{ratio:.2f}" if ratio else "-")
            if "error" in theirs:
                notes.append(f"llama.cpp, {row['weights']}: {theirs['error']}")
        rows.append(cells)
    header = ["weights", "decode", "of memory", "prefill"]
    if with_peer:
        header += ["llama.cpp decode", "x", "llama.cpp prefill", "x"]
    return lines + columns(header, rows) + notes + [f"failed: {text}" for text in found["failed"]] + left_out(found)


def left_out(found: dict) -> list[str]:
    return [f"left out: {left['weights']}: {left['why']}" for left in found["left_out"]]


def text(report: dict) -> str:
    lines = [f"gpu-check: {report['gpu']}; {report['version']}"]
    if report["simulated"]:
        lines.append("A simulated GPU: this tries the tool, and says nothing of speed.")
    lines += ["", *parts(report)]
    for name, write in (("layers", layers), ("models", models)):
        if found := report["parts"].get(name, {}).get("found"):
            lines += ["", *write(found)]
    return "\n".join(lines)
