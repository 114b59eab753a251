"""Under a table: what the machine lacks in one line, what was cut, and ratios that the times contradict."""

from mghft_export.bench.compare import compare
from mghft_export.bench.notes import (
    contradiction_lines,
    cut_lines,
    left_out_lines,
    not_run_lines,
    remark_lines,
)
from mghft_export.bench.records import ComparisonRecord, RowRecord
from mghft_export.bench.statistics import latency, speed_up
from mghft_export.bench.text_forms import cells_of


def failed(name, reason, **more):
    return RowRecord(name=name, failure=reason, **more)


def compared(*rows, **more):
    return ComparisonRecord(part="vision", batch=1, rows=rows, **more)


def measured(name, times, reference=None):
    """A row with a run of some milliseconds in each round."""
    shared = min(len(times), len(reference or times))
    return RowRecord(
        name=name,
        latency=latency([[time / 1e3] for time in times], 1),
        speed_up=speed_up(reference[:shared], times[:shared]) if reference else None,
        round_ms=tuple(times),
        cut="budget" if reference and shared < len(reference) else None,
    )


def test_what_the_machine_lacks_is_one_line_for_all_comparisons():
    reason = "no GPU: there is no GPU driver"
    rows = [failed(f"row {number} cuda", reason, left_out=True) for number in range(11)]
    rows.append(failed("fp16", "ONNX Runtime only emulates FP16: --all runs it", left_out=True))
    rows.append(failed("as-released", "needs 21 GB", left_out=False))
    comparison = compared(*rows)
    assert left_out_lines([comparison, comparison]) == [
        "no GPU: 11 rows left out (there is no GPU driver)",
        "ONNX Runtime only emulates FP16: fp16 left out (--all runs it)",
    ]
    assert not_run_lines(comparison) == ["not run (needs 21 GB): as-released"]


def test_records_of_older_versions_tell_by_the_reason():
    comparison = compared(failed("a cuda", "no GPU: no driver"), failed("b", "the disk burns"))
    assert left_out_lines([comparison]) == ["no GPU: a cuda left out (no driver)"]
    assert not_run_lines(comparison) == ["not run (the disk burns): b"]


def test_what_was_cut_is_said():
    rows = [measured("a", [1, 1, 1]), measured("b", [2, 2], [1, 1, 1])]
    assert cut_lines(compared(*rows, rounds=3)) == ["cut short by --budget: b (2 of 3 rounds)"]


def test_medians_and_ratios_of_the_same_rounds_agree():
    """fp32 28.0 ms, int8 26.0 ms: whatever single rounds say, the ratio is that of the two."""
    fp32 = [28.0, 20.0, 40.0, 28.0, 21.0]
    int8 = [26.0, 26.0, 44.0, 25.0, 24.0]
    rows = [measured("fp32", fp32), measured("int8", int8, fp32)]
    assert rows[1].speed_up.median == fp32[0] / int8[0]
    assert contradiction_lines(compared(*rows)) == []


def test_rounds_of_several_runs_count_once_in_median_and_ratio(fake_rows):
    fake_rows(slow=lambda: sum(range(200000)), fast=lambda: sum(range(20000)))
    slow, fast = compare(["slow", "fast"], iterations=4, duration=0.4)
    ratio = slow.latency.median / fast.latency.median
    assert fast.latency.iterations > 4
    assert abs(fast.speed_up.median / ratio - 1) < 1e-9


def test_a_contradiction_of_other_rounds_is_said():
    """The machine became slower after the round that both had."""
    reference = [10.0, 20.0, 20.0]
    rows = [measured("fp32", reference), measured("int8", [5.0], reference)]
    assert contradiction_lines(compared(*rows)) == [
        "int8: 2.0x in the one round with fp32, 4.0x by the times of all rounds"
    ]


def test_one_round_a_little_beside_the_others_is_no_contradiction():
    reference = [10.0, 10.2, 10.2]
    rows = [measured("fp32", reference), measured("int8", [5.0], reference)]
    assert contradiction_lines(compared(*rows)) == []


def test_a_price_that_says_less_than_it_seems_is_marked():
    price = {"agreement": 1.0, "macro_f1_change": 0.0, "stickers": 265}
    remark = "with blank images 96% of the classes stay: they cannot judge the vision branch"
    rows = [
        RowRecord.model_validate({**measured(name, [1.0, 2.0]).model_dump(), "price": cost})
        for name, cost in (
            ("int8", {**price, "remarks": [remark]}),
            ("int8 again", {**price, "remarks": [remark]}),
            ("older record", price),
            ("pytorch", None),
        )
    ]
    assert [cells_of(row)[7] for row in rows] == ["100.00%†", "100.00%†", "100.00%", "-"]
    assert remark_lines(compared(*rows)) == [f"† {remark}"]
