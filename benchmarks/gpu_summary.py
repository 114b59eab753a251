"""Writes the record of `benchmarks/gpu.py` as Markdown, for the terminal and for the README."""

from __future__ import annotations

from typing import Any

PYTORCH = "PyTorch, batch "


def summary(record: dict[str, Any]) -> str:
    """What was measured, what was not, and why."""
    parts = [_machine(record["machine"])]
    parts += [text for text in (_pytorch(record), _bench(record), _goldens(record), _tests(record)) if text]
    parts.append(_not_run(record))
    return "\n\n".join(part for part in parts if part)


def pytorch_on_gpu(record: dict[str, Any]) -> str:
    """The README's part: PyTorch and the goldens."""
    parts = [_machine(record["machine"]), _pytorch(record), _goldens(record)]
    return "\n\n".join([*parts, "ONNX Runtime's CUDA provider and TensorRT on a GPU: not run."])


def _result(record: dict[str, Any], name: str) -> Any:
    return record["parts"].get(name, {}).get("result")


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    gpu = machine["gpu"]
    if not gpu:
        return f"A rehearsal without a GPU: its numbers mean nothing ({versions})."
    return (
        f"On a GPU ({gpu['name']}, driver {gpu['driver_version']}; {versions}), paper's size, image and text "
        "features → logits, inputs and outputs on the GPU."
    )


def _pytorch(record: dict[str, Any]) -> str:
    """A table with a row for each form and a column for each batch size."""
    cells = {
        name.removeprefix("PyTorch, "): rows
        for name in record["parts"]
        if name.startswith(PYTORCH) and (rows := _result(record, name))
    }
    if not cells:
        return ""
    lines = [
        "PyTorch; float16 is autocast. Milliseconds, speed against the released form, eager, float32, and the first "
        "run's peak memory beside weights and inputs.",
        "",
        "| how | " + " | ".join(cells) + " |",
        "|---|" + "---:|" * len(cells),
    ]
    for row in next(iter(cells.values())):
        lines.append(f"| {row} | " + " | ".join(_cell(rows.get(row, {})) for rows in cells.values()) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    if "median_ms" not in row:
        return "failed"
    return f"{row['median_ms']:.2f} ms, {row['speed_up']:.1f}×, {row['peak_bytes'] / 1e9:.2f} GB"


def _bench(record: dict[str, Any]) -> str:
    """Rows of `mghft-bench`: ONNX Runtime and engines."""
    comparisons = [
        item
        for name in ("ONNX Runtime", "engines")
        if (found := _result(record, name))
        for item in found["comparisons"]
    ]
    if not comparisons:
        return ""
    batches = sorted({item["batch"] for item in comparisons})
    rows: dict[str, dict[int, str]] = {}
    for item in comparisons:
        for row in item["rows"]:
            cell = "failed" if row["failure"] else f"{row['latency']['median']:.2f} ms"
            rows.setdefault(row["name"], {})[item["batch"]] = cell
    lines = [
        "ONNX Runtime and engines, through `mghft-bench` (median).",
        "",
        "| how | " + " | ".join(f"batch {batch}" for batch in batches) + " |",
        "|---|" + "---:|" * len(batches),
    ]
    for name, cells in rows.items():
        lines.append(f"| {name} | " + " | ".join(cells.get(batch, "not run") for batch in batches) + " |")
    return "\n".join(lines)


def _goldens(record: dict[str, Any]) -> str:
    found = _result(record, "goldens")
    if not found:
        return ""
    largest: dict[tuple[str, str], float] = {}
    for item in found:
        key = item["form"], item["precision"]
        largest[key] = max(largest.get(key, 0.0), item["difference"])
    return (
        "Largest difference from the recorded logits there: "
        + ", ".join(f"{form} in {precision} {value:.1e}" for (form, precision), value in largest.items())
        + "."
    )


def _tests(record: dict[str, Any]) -> str:
    part = record["parts"].get("tests")
    if part is None or part["status"] == "not run":
        return ""
    last = [line for line in part.get("said", "").splitlines() if line.strip()]
    return f"`pytest -m gpu`: {part['status']}" + (f" ({last[-1].strip('= ')})" if last else "") + "."


def _not_run(record: dict[str, Any]) -> str:
    lines = [
        f"- {name}: {part['status']}" + (f", {part['reason']}" if "reason" in part else "")
        for name, part in record["parts"].items()
        if part["status"] != "done"
    ]
    return "Not run, or not to the end:\n" + "\n".join(lines) if lines else ""
