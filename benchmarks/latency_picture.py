"""Draws the README's picture: latency as released and with this project, as an SVG for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LABELS, BAR, GAP = 760, 250, 22, 8
ROOM = 130
"""Space for the number behind the longest bar."""

STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.note { fill: #59636e; }
.released { fill: #9aa4af; }
.ours { fill: #76b900; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note { fill: #9198a1; }
  .released { fill: #59636e; }
}
"""


@dataclass(frozen=True)
class Bar:
    """One way to run the model, in milliseconds."""

    name: str
    ms: float
    ours: bool


@dataclass(frozen=True)
class Panel:
    """Bars on one scale; the first is the reference."""

    title: str
    note: str
    bars: Sequence[Bar]


def picture(cpu: dict[str, Any], gpu: dict[str, Any]) -> str:
    """An SVG from `benchmarks/results/cpu.json` and a GPU's results."""
    return _svg([_cpu_panel(cpu), _gpu_panel(gpu)])


def _cpu_panel(results: dict[str, Any]) -> Panel:
    names = {
        "as-released": "PyTorch, as released",
        "fused": "PyTorch, fused",
        "onnxruntime": "ONNX Runtime, fused",
    }
    comparison = next(
        item for item in results["comparisons"] if item["part"] == "vision+fusion" and item["batch"] == 1
    )
    machine = results["machine"]
    bars = [
        Bar(names[kind], row["latency"]["median"], kind != "as-released")
        for row in comparison["rows"]
        if (kind := row["subject"]["implementation"]) in names
    ]
    return Panel("1 sticker on a CPU", f"{machine['cores']} cores of {machine['processor']}, float32", bars)


def _gpu_panel(results: dict[str, Any]) -> Panel:
    rows = results["parts"]["PyTorch, batch 32"]["result"]
    names = {
        "as-released eager float32": "PyTorch, as released",
        "as-released compiled float16": "as released, compiled, float16",
        "fused compiled float32": "PyTorch, fused, compiled",
        "fused compiled float16": "fused, compiled, float16",
    }
    bars = [Bar(name, rows[key]["median_ms"], key.startswith("fused")) for key, name in names.items()]
    return Panel("32 stickers on a GPU", results["machine"]["gpu"]["name"], bars)


def _svg(panels: Sequence[Panel]) -> str:
    pieces, top = [], 8
    for panel in panels:
        top += 20
        pieces.append(
            f'<text x="0" y="{top}"><tspan class="title">{escape(panel.title)}</tspan>'
            f'<tspan class="note">  {escape(panel.note)}</tspan></text>'
        )
        top += 12
        reference = panel.bars[0].ms
        scale = (WIDTH - LABELS - ROOM) / max(bar.ms for bar in panel.bars)
        for bar in panel.bars:
            middle = top + BAR / 2 + 5
            length = max(2.0, bar.ms * scale)
            number = f"{bar.ms:.0f} ms" if bar.ms >= 100 else f"{bar.ms:.1f} ms"
            speed = "" if bar is panel.bars[0] else f"  {reference / bar.ms:.1f}×"
            pieces += [
                f'<text x="{LABELS - 10}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
                f'<rect class="{"ours" if bar.ours else "released"}" x="{LABELS}" y="{top}" '
                f'width="{length:.1f}" height="{BAR}" rx="3"/>',
                f'<text x="{LABELS + length + 8:.1f}" y="{middle}">{number}{speed}</text>',
            ]
            top += BAR + GAP
        top += 12
    title = "; ".join(
        f"{panel.title}: " + ", ".join(f"{bar.name} {bar.ms:.0f} ms" for bar in panel.bars)
        for panel in panels
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'role="img">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n'
        + "\n".join(pieces)
        + "\n</svg>\n"
    )
