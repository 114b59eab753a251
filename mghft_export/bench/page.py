"""A record as one self-contained HTML page. It loads nothing from elsewhere, and a phone can show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from html import escape

from mghft_export.bench.charts import latency_against_accuracy, latency_against_batch
from mghft_export.bench.notes import left_out_lines, table_notes
from mghft_export.bench.records import ComparisonRecord, Record
from mghft_export.bench.text_forms import HEADINGS, cells_of

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page runs no script and loads nothing, even if a browser took a name in it for markup."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #222; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.note { color: #777; }
svg { max-width: 100%; height: auto; }
pre { overflow-x: auto; font-size: .8rem; background: #f6f6f6; padding: .8rem; }
"""


def as_html(records: Sequence[Record]) -> str:
    """The records as HTML: charts, tables, and where the numbers come from."""
    body = "".join(_record(record) for record in records)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>mghft-bench</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{body}"
        "<p>Times are medians of interleaved rounds; a speed-up is the ratio of two medians, with its 95 % interval; "
        "~ marks rows that vary by more than 2.5 % or ran fewer than ten times. "
        "Accuracy is that of the precision, against fp32 on the CPU.</p>\n</body>\n</html>\n"
    )


def _record(record: Record) -> str:
    pieces = [_head(record)]
    parts = dict.fromkeys(comparison.part for comparison in record.comparisons)
    for part in parts:
        own = [comparison for comparison in record.comparisons if comparison.part == part]
        measured = any(row.latency for comparison in own for row in comparison.rows)
        if measured:
            against = "latency against batch" if len(own) > 1 else f"latency, batch {own[0].batch}"
            pieces.append(_figure(latency_against_batch(own), f"{part}: {against}"))
        for comparison in own:
            chart = latency_against_accuracy(comparison)
            if chart is not None:
                pieces.append(_figure(chart, f"{part}, batch {comparison.batch}: latency against accuracy"))
        pieces += [_table(comparison) for comparison in own]
    pieces += [_note(line) for line in left_out_lines(record.comparisons)]
    source = record.model_dump(mode="json", include={"machine", "provenance", "flags"})
    pieces.append(
        "<details><summary>Where these numbers come from</summary>"
        f"<pre>{escape(json.dumps(source, indent=1))}</pre></details>\n"
    )
    return "".join(pieces)


def _head(record: Record) -> str:
    """What was measured, where and when."""
    machine, provenance = record.machine, record.provenance
    bundle, checkpoint = provenance.bundle, provenance.checkpoint.name
    what = f"{bundle}, {checkpoint}" if bundle else checkpoint
    where = f"{machine.cores} cores of {machine.processor}, {machine.system}"
    gpu = provenance.gpu.get("name")
    return (
        f"<h1>mghft-bench: {escape(what)}</h1>\n"
        f"<p>{escape(where + (f', {gpu}' if gpu else ''))}<br>"
        f"{escape(_day(provenance.time))}, {escape(provenance.producer)}</p>\n"
    )


def _day(time: str) -> str:
    """An ISO time -> `2026-11-26 09:30 UTC`."""
    moment = datetime.fromisoformat(time).astimezone(timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _note(line: str) -> str:
    return f'<p class="note">{escape(line)}</p>\n'


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _table(comparison: ComparisonRecord) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
    rows = [
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for row in comparison.rows
        if (cells := cells_of(row)) is not None
    ]
    title = escape(f"{comparison.part}, batch {comparison.batch}")
    return (
        f'<h2>{title}</h2>\n<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
        + "".join(_note(line) for line in table_notes(comparison))
    )
