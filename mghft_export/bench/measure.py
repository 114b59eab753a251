"""Measure a bundle as the settings ask: run the comparisons one after the other, and record them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mghft_export.bench.compare import AnySubject, Row
from mghft_export.bench.inputs import distinct_views, sticker_batches, text_batches
from mghft_export.bench.provenance import machine, provenance
from mghft_export.bench.records import MachineRecord, ProvenanceRecord, Record, comparison_record
from mghft_export.bench.rows import all_rows, obstacle
from mghft_export.bench.runner_rows import runner_version
from mghft_export.bench.settings import Settings
from mghft_export.bench.subjects import Copy, Gemm, Subject
from mghft_export.bench.time_budget import default_seconds, share
from mghft_export.bench.worker import RowFailed
from mghft_export.bundle import Bundle
from mghft_export.bundle.tokenizer import bundle_tokenizer
from mghft_export.config import MGHFTConfig
from mghft_export.cpu_features import cpu_flags
from mghft_export.engines.gpu import NoGpu, find_gpu
from mghft_export.errors import MGHFTError
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set

Obstacle = Callable[[AnySubject], RowFailed | None]


@dataclass(frozen=True)
class Planned:
    """One comparison to run.

    Attributes:
        subjects: the reference first, the machine's own rates last.
        seconds: time for the whole comparison; 0 if the budget is spent.
        why_not: returns why a row cannot run, or None if it can.
    """

    title: str
    subjects: tuple[AnySubject, ...]
    seconds: float
    why_not: Obstacle


Run = Callable[[Planned, Settings], list[Row]]
"""Measures a planned comparison."""


@dataclass(frozen=True)
class _Comparison:
    template: Subject
    rows: tuple[Subject, ...]


def measure(
    bundle: Bundle,
    settings: Settings,
    run: Run,
    *,
    batches: Sequence[int] = (1,),
    lengths: Sequence[int] = (),
) -> Iterator[Record]:
    """Measure a bundle, and yield the record so far after each comparison.

    Args:
        run: measures one comparison, and shows it while it runs.
        batches: batch sizes in stickers; each becomes a comparison.
        lengths: text lengths in tokens, for the part `text`; each becomes a comparison.

    Raises:
        MGHFTError: the settings contradict each other, or the calibration set cannot be used.
    """
    started = time.monotonic()
    check_settings(bundle, settings, lengths)
    load_calibration_set(settings.calibration or default_calibration_set())
    gpu = find_gpu()
    comparisons = [
        _comparison(bundle, settings, batch, part, length)
        for part, batch, length in itertools.product(settings.parts, batches, lengths or (None,))
    ]
    if not all(item.rows for item in comparisons):
        raise MGHFTError("no row is left; give fewer of --only, --provider and --precision")
    budget = settings.budget
    if budget is None:
        budget = default_seconds([item.rows for item in comparisons], gpu=not isinstance(gpu, NoGpu))
    # A user who names a precision wants to see it.
    why_not = obstacle(
        MGHFTConfig.from_dict(bundle.manifest.model),
        gpu,
        flags=cpu_flags(),
        wanted=lambda row: settings.emulated or row.precision in settings.precisions,
    )
    version = runner_version(settings.runner) if settings.runner is not None else None
    record = Record(
        machine=MachineRecord.model_validate(machine()),
        provenance=ProvenanceRecord.model_validate(provenance(bundle, gpu)),
        flags=settings.flags(budget, version),
        comparisons=(),
    )
    machine_rows = (Gemm("onnxruntime", settings.threads), Copy(settings.threads))
    for number, item in enumerate(comparisons):
        seconds = share(budget - (time.monotonic() - started), len(comparisons) - number)
        template = item.template
        planned = Planned(
            f"{template.part}, batch {template.batch}",
            (*item.rows, *machine_rows),
            seconds,
            why_not if seconds else _too_late(why_not),
        )
        rows = run(planned, settings)
        count = len(item.rows)
        found = comparison_record(
            rows[:count],
            rows[count:],
            bundle,
            template.part,
            template.batch,
            _tokens(template, bundle),
            rounds=settings.iterations,
        )
        record = record.model_copy(update={"comparisons": (*record.comparisons, found)})
        yield record


def check_settings(bundle: Bundle, settings: Settings, lengths: Sequence[int]) -> None:
    """Refuse settings that contradict each other.

    Raises:
        MGHFTError: they do; the message names the conflict.
    """
    known = bundle.manifest.precisions
    unknown = [name for name in settings.precisions if name not in known]
    if unknown:
        raise MGHFTError(f"{bundle.root} has no precision {unknown[0]!r}; it has {', '.join(known)}")
    if lengths and set(settings.parts) != {"text"}:
        raise MGHFTError("--lengths is about texts alone; add --part text")
    if "mghft-run" in settings.only and settings.runner is None:
        raise MGHFTError("--only mghft-run needs the program; give it with --runner")


def _comparison(bundle: Bundle, settings: Settings, batch: int, part: str, length: int | None) -> _Comparison:
    template = Subject(
        Path(bundle.root),
        "onnxruntime",
        part,  # type: ignore[arg-type]
        batch,
        settings.threads,
        length=length,
        stickers=settings.calibration,
        cuda_graph=settings.cuda_graph,
        io_transfers=settings.io_transfers,
    )
    found = all_rows(
        template,
        bundle,
        providers=settings.all_providers,
        precisions=settings.precisions,
        runner=settings.runner,
    )
    kept = tuple(row for row in found if not settings.only or row.implementation in settings.only)
    return _Comparison(template, kept)


def _too_late(why_not: Obstacle) -> Obstacle:
    """Why a row cannot run; for all other rows, that the budget is spent."""
    return lambda subject: why_not(subject) or RowFailed("the budget was spent before; --budget gives more")


def _tokens(template: Subject, bundle: Bundle) -> int:
    """Tokens of a text, as the rows run it."""
    views = distinct_views(bundle)
    batches = sticker_batches(replace(template, batch=min(template.batch, 8)))
    texts = text_batches(batches, bundle, bundle_tokenizer(bundle), views=views, length=template.length)
    return int(texts[0].input_ids.shape[1])
