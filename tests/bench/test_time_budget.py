"""A comparison ends in its time: slow rows have fewer rounds, too slow ones are dropped, fast ones are whole."""

import time

import pytest

from mghft_export.bench.compare import compare
from mghft_export.bench.subjects import Copy, Subject
from mghft_export.bench.time_budget import Budget, Turns, first_run_limit, warm_up_order, who_goes_on
from mghft_export.bench.warm_up import warm_up


def test_everybody_goes_on_where_the_time_suffices():
    rows = {0: Turns(used=2, each=2), 1: Turns(used=0.1, each=0.1)}
    assert who_goes_on(rows, rounds=9, left=19) == {0, 1}


def rounds_of(turns, seconds, rounds):
    """How many rounds each row has when turns take exactly as long as is foreseen."""
    had = dict.fromkeys(turns, 1)
    left = seconds - sum(turns.values())
    for done in range(1, rounds):
        rows = {name: Turns(had[name] * each, each) for name, each in turns.items() if had[name] == done}
        for name in who_goes_on(rows, rounds=rounds - done, left=left) if rows else ():
            had[name] += 1
            left -= turns[name]
    assert left >= 0
    return had


def test_slow_rows_have_fewer_rounds():
    had = rounds_of({"slow": 4.0, "middle": 1.0, "fast": 0.1}, seconds=20, rounds=10)
    assert had == {"slow": 2, "middle": 10, "fast": 10}


def test_rows_that_are_alike_have_as_many_rounds():
    had = rounds_of({"a": 1.0, "b": 1.0, "c": 1.0}, seconds=15, rounds=10)
    assert had == {"a": 5, "b": 5, "c": 5}


def test_a_first_run_leaves_the_others_their_time():
    assert first_run_limit(left=60, reserved=20, waiting=1) == 40
    assert first_run_limit(left=60, reserved=20, waiting=3) == 20
    # Nothing is left beside the reserve, and each has its share all the same.
    assert first_run_limit(left=30, reserved=90, waiting=2) == 5


def test_rows_that_start_late_wait_until_the_others_are_warm():
    rows = [
        Subject(None, "as-released", "vision", 1, 1, mode="compile"),
        Subject(None, "as-released", "vision", 1, 1),
        Subject(None, "fused", "vision", 1, 1),
        Subject(None, "onnxruntime", "vision", 1, 1),
    ]
    assert sorted(rows, key=warm_up_order) == rows[::-1]
    assert warm_up_order(Copy(1)) == 0


def test_a_budget_says_what_is_left():
    now = iter([100.0, 103.0, 112.0])
    budget = Budget(10, clock=lambda: next(now))
    assert [budget.left(), budget.left()] == [7, -2]


def test_a_slow_row_does_not_warm_up_past_its_time():
    ticks = iter([0.0, 0.0, 9.0])
    found = warm_up(lambda: None, clock=lambda: next(ticks), within=20)
    assert (found.runs, found.usual, found.stable) == (1, 9.0, False)


def test_a_slow_row_has_fewer_rounds_and_says_so(fake_rows):
    fake_rows(slow=lambda: time.sleep(0.4), fast=lambda: time.sleep(0.01))
    slow, fast = compare(["slow", "fast"], iterations=30, budget=9)
    assert 0 < len(slow.round_ms) < 30
    assert slow.cut == "budget"
    assert (len(fast.round_ms), fast.cut) == (30, None)


def test_a_row_that_never_ends_its_first_run_is_dropped(fake_rows):
    fake_rows(hangs=lambda: time.sleep(600), fast=lambda: time.sleep(0.01))
    hangs, fast = compare(["hangs", "fast"], iterations=3, budget=8)
    assert hangs.failure == "a run of it does not fit into the time; --budget gives more"
    assert len(fast.round_ms) == 3


def test_a_row_that_becomes_slow_keeps_its_rounds(fake_rows):
    """It hangs after some runs; what was timed before counts."""
    runs = iter([0.01] * 200)

    fake_rows(tires=lambda: time.sleep(next(runs, 600)))
    (row,) = compare(["tires"], iterations=400, budget=6)
    assert row.failure is None
    assert row.cut == "budget"
    assert len(row.round_ms) > 1


def test_what_takes_too_long_to_load_is_dropped(fake_rows, monkeypatch):
    from mghft_export.bench import worker

    fake_rows(fast=lambda: time.sleep(0.01))
    prepare = worker.prepare
    monkeypatch.setattr(worker, "prepare", lambda name: time.sleep(600) if name == "loads" else prepare(name))
    loads, fast = compare(["loads", "fast"], iterations=2, budget=6)
    assert loads.failure == "loading it does not fit into the time; --budget gives more"
    assert len(fast.round_ms) == 2


def test_without_a_budget_nothing_is_cut(fake_rows):
    fake_rows(slow=lambda: time.sleep(0.05), fast=lambda: time.sleep(0.01))
    rows = compare(["slow", "fast"], iterations=4)
    assert [(len(row.round_ms), row.cut) for row in rows] == [(4, None)] * 2


def test_a_row_that_sits_out_by_its_limit_says_so(fake_rows):
    fake_rows(slow=lambda: time.sleep(0.1))
    (row,) = compare(["slow"], iterations=6, limit=0.25)
    assert (len(row.round_ms), row.cut) == (3, "limit")


@pytest.mark.parametrize("budget", [0.0, 0.5])
def test_a_budget_too_small_for_anything_ends_soon(fake_rows, budget):
    fake_rows(hangs=lambda: time.sleep(600))
    (row,) = compare(["hangs"], iterations=2, budget=budget)
    assert row.latency is None
    assert "--budget gives more" in row.failure
