"""A record as one self-contained HTML page: nothing is loaded from elsewhere, and a phone can show it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mghft_export.bench.charts import latency_against_accuracy, latency_against_batch
from mghft_export.bench.text_forms import HEADINGS, cells_of

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #222; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
td.reason { text-align: left; white-space: normal; color: #777; }
svg { max-width: 100%; height: auto; }
pre { overflow-x: auto; font-size: .8rem; background: #f6f6f6; padding: .8rem; }
"""


def as_html(records: Sequence[Mapping[str, Any]]) -> str:
    """Charts, tables and where the numbers come from."""
    body = "".join(_record(record) for record in records)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>mghft-bench</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        "<h1>mghft-bench</h1>\n<p>Times are medians of interleaved runs; speed-ups have their 95 % interval; "
        "~ marks rows that vary by more than 2.5 % or ran fewer than ten times. "
        "Accuracy is that of the precision, against fp32 on the CPU.</p>\n"
        f"{body}</body>\n</html>\n"
    )


def _record(record: Mapping[str, Any]) -> str:
    machine = record["machine"]
    pieces = [f"<h2>{escape(str(machine['cores']))} cores of {escape(machine['processor'])}</h2>\n"]
    parts = dict.fromkeys(comparison["part"] for comparison in record["comparisons"])
    for part in parts:
        own = [comparison for comparison in record["comparisons"] if comparison["part"] == part]
        measured = any(row["latency"] for comparison in own for row in comparison["rows"])
        if measured:
            pieces.append(_figure(latency_against_batch(own), f"{part}: latency against batch"))
        for comparison in own:
            chart = latency_against_accuracy(comparison)
            if chart is not None:
                pieces.append(
                    _figure(chart, f"{part}, batch {comparison['batch']}: latency against accuracy")
                )
        pieces += [_table(comparison) for comparison in own]
    source = {name: record[name] for name in ("machine", "provenance", "flags")}
    pieces.append(
        "<details><summary>Where these numbers come from</summary>"
        f"<pre>{escape(json.dumps(source, indent=1))}</pre></details>\n"
    )
    return "".join(pieces)


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>\n"


def _table(comparison: Mapping[str, Any]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in HEADINGS)
    rows = []
    for row in comparison["rows"]:
        cells = cells_of(row)
        if cells is None:
            rows.append(
                f"<tr><td>{escape(row['name'])}</td>"
                f'<td class="reason" colspan="{len(HEADINGS) - 1}">not run: {escape(row["failure"])}</td></tr>'
            )
        else:
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    title = escape(f"{comparison['part']}, batch {comparison['batch']}")
    return (
        f'<h2>{title}</h2>\n<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
    )
