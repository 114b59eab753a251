"""Makes what a bundle's peers need before they can run, once: quantised graphs, compiled code, PyTorch's weights."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peer_process import run_apart
from peer_rows import AHEAD, COMPILE, NNCF, QUANTIZE_STATIC, RELEASED, Places

from mghft_export.bench.process_output import last_lines
from mghft_export.bundle import Bundle

Reasons = dict[tuple[str, int], str]
"""Name of a way, and batch size -> why it cannot run."""


@dataclass(frozen=True)
class Step:
    """One file or folder to make.

    Attributes:
        made: the file or folder; it exists once the step is done.
        needed_by: ways and batch sizes that cannot run without it.
    """

    text: str
    made: Path
    make: Callable[..., None]
    arguments: tuple[object, ...]
    needed_by: tuple[tuple[str, int], ...]


def steps(bundle: Bundle, places: Places, batches: Sequence[int], threads: int) -> list[Step]:
    """The steps in their order."""
    root, weights = bundle.root, places.weights

    def of(*ways: str) -> tuple[tuple[str, int], ...]:
        return tuple((way, batch) for way in ways for batch in batches)

    return [
        Step(
            "weights for PyTorch",
            weights,
            _weights,
            (root, weights, places.weights_remark),
            of(COMPILE, AHEAD, RELEASED),
        ),
        Step("INT8 by NNCF", places.nncf, _nncf, (root, places.nncf), of(NNCF)),
        Step(
            "INT8 by quantize_static",
            places.quantize_static,
            _quantize_static,
            (root, places.quantize_static),
            of(QUANTIZE_STATIC),
        ),
        *(
            Step(
                f"AOTInductor, batch {batch}",
                places.ahead(batch),
                _ahead,
                (places, root, batch, threads),
                ((AHEAD, batch),),
            )
            for batch in batches
        ),
    ]


def prepare(
    todo: Sequence[Step],
    places: Places,
    on_step: Callable[[str], None],
    on_failure: Callable[[str], None],
) -> Reasons:
    """Run the steps that are not done yet, each in its own process, and return the reasons of those that failed.

    Args:
        on_step: called with the text of each step that starts.
        on_failure: called with what libraries wrote before a step failed.
    """
    reasons: Reasons = {}
    for step in todo:
        if step.made.exists() or all(row in reasons for row in step.needed_by):
            continue
        on_step(step.text)
        log = places.log(step.made.name)
        reason = run_apart(step.make, *step.arguments, log=log)
        if reason is not None:
            reasons |= {row: reasons.get(row, reason) for row in step.needed_by}
            on_failure(f"{step.text}: {reason}\n{last_lines(log) or ''}")
    return reasons


def forget_outputs(places: Places) -> None:
    """Remove the outputs of an earlier run; else they would stand for rows that fail in this run."""
    shutil.rmtree(places.root / "outputs", ignore_errors=True)


# These functions import what they need, because this process needs neither PyTorch nor NNCF.


def _weights(root: Path, target: Path, remark: Path) -> None:
    from peer_torch import rebuild_weights

    rebuild_weights(root, target, remark)


def _nncf(root: Path, folder: Path) -> None:
    from peer_quantisers import quantise_by_nncf

    quantise_by_nncf(root, folder)


def _quantize_static(root: Path, target: Path) -> None:
    from peer_quantisers import quantise_by_onnxruntime

    quantise_by_onnxruntime(root, target)


def _ahead(places: Places, root: Path, batch: int, threads: int) -> None:
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(places.inductor)
    from peer_torch import compile_ahead

    compile_ahead(root, places.weights, batch, threads, places.ahead(batch))
