"""Two results are compared beyond their noise: of rounds, of runs, and of the machine as a whole."""

import copy
import json

import numpy as np
import pytest

from mghft_export.bench import diff
from mghft_export.bench.diff import least_rounds
from mghft_export.bench.rank_interval import least_times, ratio_interval
from mghft_export.bench.records import Record
from mghft_export.bench.statistics import latency
from mghft_export.cli.bench import bench
from mghft_export.cli.main import run


def differences(old, new):
    return diff.differences(Record.model_validate(old), Record.model_validate(new))


def machine_changes(old, new):
    return diff.machine_changes(Record.model_validate(old), Record.model_validate(new))


@pytest.fixture
def steady(measured):
    """The record with rounds as quiet as a test needs them."""
    record = json.loads((measured / "r.json").read_text())
    for comparison in record["comparisons"]:
        comparison["rows"][0]["round_ms"] = [10.0, 10.1, 9.9, 10.05, 9.95]
        comparison["machine_rounds"] = {"product": [50.0] * 5, "copy": [30.0] * 5}
    return record


def slowed(record, factor):
    changed = copy.deepcopy(record)
    row = changed["comparisons"][0]["rows"][0]
    row["round_ms"] = [factor * time for time in row["round_ms"]]
    return changed


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (1.03, 0), (1.2, 3), (0.5, 0)])
def test_diff_fails_above_its_limit_alone(steady, tmp_path, factor, status):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(steady))
    new.write_text(json.dumps(slowed(steady, factor)))
    assert run(bench, ["diff", str(old), str(new), "--fail-above", "5%"]) == status
    assert run(bench, ["diff", str(old), str(new)]) == 0


def test_diff_takes_noise_for_noise(steady):
    noisy = copy.deepcopy(steady)
    noisy["comparisons"][0]["rows"][0]["round_ms"] = [5.0, 18.0, 12.0, 7.0, 25.0]
    change = differences(steady, noisy)[0]
    assert change.ratio > 1.1
    assert not change.slower
    assert not change.fails(0.05)


def test_diff_sees_a_row_that_no_longer_runs(steady):
    broken = copy.deepcopy(steady)
    broken["comparisons"][0]["rows"][0].update(latency=None, failure="no room")
    change = differences(steady, broken)[0]
    assert change.fails(0.05)
    assert change.failure == "no room"


ROWS = ("fp32", "int8", "fused", "as-released", "as-released autocast", "as-released compile", "mghft-run")


def result(seed, *, noise=0.05, rounds=10, machine=1.0, slowed=(), factor=1.0, drift=0.0, with_machine=True):
    """A record of one comparison, made up: every row and the machine itself in the same rounds."""
    rng = np.random.default_rng(seed)
    level = machine * np.exp(np.cumsum(rng.normal(0, drift, rounds)))
    rows = []
    for number, name in enumerate(ROWS):
        times = 10.0 * (number + 1) * level * np.exp(rng.normal(0, noise, rounds))
        times = times * (factor if name in slowed else 1.0)
        rows.append(
            {
                "name": name,
                "latency": vars(latency([[time / 1e3] for time in times], 1)),
                "speed_up": None if number == 0 else {"median": 1.0, "low": 1.0, "high": 1.0},
                "round_ms": times.tolist(),
                "alone": False,
                "failure": None,
            }
        )
    own = {name: (level * np.exp(rng.normal(0, noise, rounds))).tolist() for name in ("product", "copy")}
    comparison = {"part": "vision", "batch": 1, "rows": rows}
    return {
        "machine": {"processor": "a"},
        "comparisons": [{**comparison, "machine_rounds": own} if with_machine else comparison],
    }


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("rounds", [3, 6, 10, 20])
def test_one_bundle_measured_twice_is_never_slower(noise, rounds):
    for seed in range(20):
        settings = {"noise": noise, "rounds": rounds}
        changes = differences(result(2 * seed, **settings), result(2 * seed + 1, **settings))
        assert not [change for change in changes if change.slower or change.faster]


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_a_real_slow_down_is_seen_in_its_row_alone(noise):
    for seed in range(20):
        old = result(2 * seed, noise=noise)
        new = result(2 * seed + 1, noise=noise, slowed=("int8",), factor=1.3)
        slower = [change for change in differences(old, new) if change.slower]
        assert [change.name for change in slower] == ["int8"]
        assert slower[0].fails(0.05)
        assert slower[0].ratio == pytest.approx(1.3, rel=0.06)
        assert not slower[0].fails(0.5)
        faster = [change.name for change in differences(new, old) if change.faster]
        assert faster == ["int8"]


def test_a_machine_that_is_slower_as_a_whole_slows_no_row():
    old, new = result(0, drift=0.05), result(1, drift=0.05, machine=1.4)
    changes = differences(old, new)
    assert changes[0].new > 1.2 * changes[0].old
    assert not [change for change in changes if change.slower or change.faster]
    assert machine_changes(old, new)["product"] > 1.2


def test_a_slow_down_is_seen_on_a_machine_that_became_faster():
    """Its times are the same as before, although all others are shorter."""
    old, new = result(0, noise=0.01), result(1, noise=0.01, machine=1 / 1.3, slowed=("fused",), factor=1.3)
    assert [change.name for change in differences(old, new) if change.slower] == ["fused"]


def test_what_one_of_the_machines_rates_explains_is_no_change():
    """The product is as slow as all rows, the copy is as fast as ever."""
    old, new = result(0, noise=0.01), result(1, noise=0.01, machine=1.3)
    rounds = new["comparisons"][0]["machine_rounds"]
    rounds["copy"] = [time / 1.3 for time in rounds["copy"]]
    assert not [change for change in differences(old, new) if change.slower]


def test_without_the_machines_rates_the_reference_is_the_ruler():
    old = result(0, noise=0.01, with_machine=False)
    new = result(1, noise=0.01, with_machine=False, machine=1.3, slowed=("int8",), factor=1.3)
    verdicts = {change.name: change.slower for change in differences(old, new)}
    # The reference itself has no ruler, so it is slower by what the machine was.
    assert [name for name, slower in verdicts.items() if slower] == ["fp32", "int8"]


def test_results_of_older_versions_have_rates_in_place_of_rounds():
    old, new = result(0, noise=0.01), result(1, noise=0.01, machine=1.3)
    for record, slower in ((old, 1.0), (new, 1.3)):
        del record["comparisons"][0]["machine_rounds"]
        rates = {"flops_per_second": 1e11 / slower, "bytes_per_second": 1e10 / slower}
        record["comparisons"][0]["machine_rates"] = rates
    assert not [change for change in differences(old, new) if change.slower or change.faster]


def test_too_few_rounds_say_so(tmp_path, capsys):
    old, new = result(0, rounds=3), result(1, rounds=3, slowed=("int8",), factor=3)
    changes = differences(old, new)
    assert all(change.too_few and not change.slower for change in changes)
    assert least_rounds(changes) == 6
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, record in zip(paths, (old, new), strict=True):
        path.write_text(json.dumps({"schema": 1, "machine": {"processor": "x"}, **record}))
    assert run(bench, ["diff", *map(str, paths), "--fail-above", "5%"]) == 0
    said = capsys.readouterr().out
    assert "too few rounds" in said
    assert "both results need at least 6" in said


def test_rounds_that_the_machine_sat_out_tell_all_the_same():
    old, new = result(0, noise=0.01), result(1, noise=0.01, slowed=("int8",), factor=1.3)
    rounds = new["comparisons"][0]["machine_rounds"]
    rounds.update({name: times[:3] for name, times in rounds.items()})
    changes = differences(old, new)
    assert [change.name for change in changes if change.slower] == ["int8"]
    assert {change.rounds for change in changes} == {(10, 10)}


def test_rows_that_ran_in_neither_result_are_one_line(measured, capsys):
    path = str(measured / "r.json")
    assert run(bench, ["diff", path, path, "--fail-above", "5%"]) == 0
    said = capsys.readouterr().out
    assert "4 rows ran in neither result" in said
    assert "GPU" not in said


def test_an_interval_needs_times_enough():
    assert least_times(0.05) == 4
    assert ratio_interval([1, 2, 3], [4, 5, 6], 0.05) is None
    found = ratio_interval([1, 1, 1, 1], [2, 2, 2, 2], 0.05)
    assert (found.low, found.high) == (2, 2)


def test_an_interval_leaves_out_1_as_rarely_as_asked():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(1000):
        first, second = rng.lognormal(0, 0.2, (2, 10))
        found = ratio_interval(first, second, 0.1)
        wrong += not found.low <= 1 <= found.high
    assert 60 < wrong < 125  # 89 of 1000 orders of ranks are that far out
