"""The comparison with other runtimes: who wins a cell, how near a row is, and what is printed of it."""

import importlib.util
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mghft_export.bench.compare import compare
from mghft_export.bundle import load_bundle

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "benchmarks" / "peers"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(PEERS))
    import peer_agreement
    import peer_preparation
    import peer_rows
    import peer_table
    import peer_verdict


def script(path):
    """A script as a module."""
    specification = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    module = importlib.util.module_from_spec(specification)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PEERS))
        specification.loader.exec_module(module)
    return module


def row(name, ms, differs=0.0, *, number="float32", side="peer", failure=None, note=None):
    """Five rounds of about as many milliseconds."""
    rounds = [] if failure else [ms * factor for factor in (1.0, 1.01, 0.99, 1.02, 0.98)]
    agreement = {"class_token": differs, "stages": {"stage1": differs}, "cosine": 1.0, "selected": 0.9}
    return {
        "name": name,
        "side": side,
        "number": number,
        "failure": failure,
        "median_ms": None if failure else ms,
        "round_ms": rounds,
        "speed_up": None if failure else {"median": 10 / ms, "low": 9.9 / ms, "high": 10.1 / ms},
        "peak_bytes": 10**8,
        "alone": False,
        "note": note,
        "agreement": None if failure or differs is None else agreement,
        "no_agreement": "the weights of my.pt are not at hand" if differs is None else None,
    }


def ours(name, ms, differs=0.0, number="float32"):
    """A row of this project."""
    return row(name, ms, differs, number=number, side="ours")


FP32, INT8 = ours("onnxruntime fp32", 10), ours("onnxruntime int8", 5, 0.02, "INT8")


def outcome(*rows, number="INT8"):
    """Rival and outcome."""
    found = peer_verdict.verdict([FP32, INT8, *rows], number)
    return found.rival, found.outcome


def test_a_faster_peer_that_is_as_near_wins_the_cell():
    assert outcome(row("peer", 4, 0.02)) == ("peer", "behind")


def test_a_faster_peer_that_is_further_off_does_not_count_and_is_named():
    found = peer_verdict.verdict([FP32, INT8, row("far", 4, 0.021), row("near", 6, 0.01)], "INT8")
    assert (found.best, found.rival, found.outcome) == ("onnxruntime int8", "near", "ahead")
    assert found.further_off == ["far"]
    assert found.ratio["median"] == pytest.approx(6 / 5)


def test_peers_within_the_noise_are_level():
    assert outcome(row("peer", 5, 0.0)) == ("peer", "level")


def test_the_fastest_of_near_peers_is_the_rival():
    assert outcome(row("slow", 9, 0.0), row("slower", 20, 0.0)) == ("slow", "ahead")


def test_float32_rounding_is_equally_near():
    assert outcome(row("peer", 9, 5e-4), number="float32") == ("peer", "behind")
    assert outcome(row("peer", 9, 5e-3), number="float32") == (None, "alone")


def test_peers_of_unknown_agreement_count_where_they_compute_in_float32():
    assert outcome(row("torch.compile", 4, None)) == ("torch.compile", "behind")


def test_failed_rows_win_nothing_and_a_cell_without_rows_of_ours_has_no_verdict():
    assert outcome(row("peer", 1, failure="out of memory")) == (None, "alone")
    assert peer_verdict.verdict([row("peer", 1)], "INT8") is None


def cell():
    """With the longest names and numbers, a failure, and a peer that wins."""
    rows = [
        {**FP32, "speed_up": None},
        *(row(way.name, 12345.6, 0.44, number=way.number, side=way.side) for way in peer_rows.WAYS[1:]),
        row("[fast] peer", 0.1, 1e-6, note="computes in bf16, OpenVINO's choice on this CPU"),
        row("broken", 1, failure="out of memory: " + "the row used 8.1 GB and 0.3 GB were left " * 3),
    ]
    return {"model": "paper [448]", "batch": 8, "rows": rows, "verdicts": peer_verdict.verdicts(rows)}


def printed(found):
    """On a terminal of 80 columns."""
    console = Console(width=80)
    with console.capture() as capture:
        for part in peer_table.cell_output(found):
            console.print(part)
    return capture.get()


def test_output_fits_80_columns_with_names_whole():
    text = printed(cell())
    assert max(map(len, text.splitlines())) <= 80
    for way in peer_rows.WAYS:
        assert way.name in text
    assert "…" not in text
    assert "paper [448], batch 8" in text
    assert "[fast] peer" in text
    assert "broken: not run: out of memory" in text
    assert "computes in bf16" in text
    assert "WINS" in text


def test_results_read_back_print_the_same(tiny_bundle, tmp_path):
    command = script(PEERS / "compare.py")
    content = command.content([cell()], {"tiny": load_bundle(tiny_bundle)}, 5, 2)
    command.write(tmp_path / "peers.json", content)
    text = (tmp_path / "peers.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert found == content
    assert printed(found["cells"][0]) == printed(cell())
    assert found["cpu_flags"] == sorted(found["cpu_flags"])
    assert found["models"]["tiny"]["graphs"]


def test_readme_table_has_a_row_a_way_and_names_lost_cells():
    readme = script(ROOT / "benchmarks" / "readme.py")
    rows = [{**FP32, "speed_up": None}, INT8, row("peer", 4, 0.01), row("broken", 1, failure="no")]
    cells = [
        {"model": model, "batch": batch, "rows": rows, "verdicts": peer_verdict.verdicts(rows)}
        for model in ("mini", "paper")
        for batch in (1, 8)
    ]
    results = {
        "cells": cells,
        "threads": 2,
        "versions": {"torch": "2.9"},
        "cpu_flags": ["avx2", "avx512_vnni"],
    }
    text = readme.peers({**results, "machine": {"processor": "a CPU"}})
    lines = text.splitlines()
    assert (
        "| how | paper, batch 1 | paper, batch 8 | class token | mini, batch 1 | mini, batch 8 | class token |"
        in lines
    )
    assert "| onnxruntime fp32 | 1 (10 ms) | 1 (10 ms) | 0.0e+00 | 1 (10 ms) | 1 (10 ms) | 0.0e+00 |" in lines
    assert "| peer | 2.50× | 2.50× | 1.0e-02 | 2.50× | 2.50× | 1.0e-02 |" in lines
    assert "| broken | not run | not run |  | not run | not run |  |" in lines
    assert "AVX-512 VNNI" in text
    assert "in 4 of 8 cells" in text  # float32's cells have no peer that is near
    assert "paper, batch 8, INT8 (onnxruntime int8 is 0.80× as fast as peer)" in text


@pytest.fixture
def outputs():
    """Class tokens [2, 4], and tokens [2, heads * k, 4] with the patches they come from [2, heads, k], of one stage."""
    rng = np.random.default_rng(0)
    return {
        "stage1_class_token": rng.standard_normal((2, 4)).astype(np.float32),
        "stage1_tokens": rng.standard_normal((2, 6, 4)).astype(np.float32),
        "stage1_selected": np.arange(12).reshape(2, 2, 3),
    }


def test_agreement_is_of_class_tokens_and_selected_patches(outputs):
    found = {name: array.copy() for name, array in outputs.items()}
    assert asdict(peer_agreement.agreement(found, outputs, {"stage1": 2})) == {
        "class_token": 0.0,
        "stages": {"stage1": 0.0},
        "cosine": pytest.approx(1.0),
        "selected": 1.0,
    }
    found["stage1_class_token"][1, 2] -= 0.5
    found["stage1_selected"][0, 1, 0] = 100
    measured = peer_agreement.agreement(found, outputs, {"stage1": 2})
    assert measured.class_token == pytest.approx(0.5)
    assert measured.cosine < 1
    assert measured.selected == pytest.approx(11 / 12)


def test_rows_without_indices_tell_patches_by_their_values_in_float32_only(outputs):
    found = {name: array.copy() for name, array in outputs.items() if name != "stage1_selected"}
    found["stage1_tokens"] = found["stage1_tokens"][:, [1, 0, 2, 3, 4, 5]]
    assert peer_agreement.agreement(found, outputs, {"stage1": 2}).selected == 1
    found["stage1_tokens"][0, 0] += 1
    assert peer_agreement.agreement(found, outputs, {"stage1": 2}).selected == pytest.approx(11 / 12)
    found["stage1_class_token"] += 0.1
    assert peer_agreement.agreement(found, outputs, {"stage1": 2}).selected is None


def test_a_row_runs_in_its_own_process_and_leaves_its_outputs(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    where = peer_rows.Places(tmp_path)
    rows = [
        peer_rows.PeerRow(tiny_bundle, "peer", "vision", 3, 1, way=name, places=where, why_not=reason)
        for name, reason in ((peer_rows.REFERENCE, None), (peer_rows.NNCF, "NNCF is not installed"))
    ]
    measured, left_out = compare(rows, iterations=2)
    assert measured.failure is None
    assert measured.latency.stickers_per_second == pytest.approx(3e3 / measured.latency.median)
    assert left_out.failure == "NNCF is not installed"
    found = peer_agreement.load_outputs(where.outputs(peer_rows.REFERENCE, 3))
    assert {len(array) for array in found.values()} == {peer_agreement.STICKERS}
    assert {"stage4_class_token", "stage4_tokens", "stage4_selected"} <= set(found)


def test_what_cannot_be_prepared_leaves_out_its_rows_only_and_what_is_there_is_not_made_again(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(PEERS))
    made, lost, there = tmp_path / "made", tmp_path / "no" / "folder", tmp_path
    steps = [
        peer_preparation.Step("a", made, os.mkdir, (made,), (("A", 1), ("A", 8))),
        peer_preparation.Step("b", lost, os.mkdir, (lost,), (("B", 1), ("B", 8))),
        peer_preparation.Step("c", there, os.mkdir, (there,), (("C", 1),)),
        peer_preparation.Step("d, which needs b", lost, os.mkdir, (lost,), (("B", 8),)),
    ]
    done, failures = [], []
    reasons = peer_preparation.prepare(steps, peer_rows.Places(tmp_path), done.append, failures.append)
    assert done == ["a", "b"]
    assert made.is_dir()
    assert set(reasons) == {("B", 1), ("B", 8)}
    assert reasons["B", 8].startswith("FileNotFoundError: ")
    (shown,) = failures
    assert shown.startswith("b: FileNotFoundError")
    assert "Traceback" in shown
