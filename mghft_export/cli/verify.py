"""`mghft-export verify`: measure what a bundle's precisions cost, and whether they keep their budgets."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from rich.console import Console
from rich.text import Text

from mghft_export.api.verify import chosen_precisions, chosen_stickers
from mghft_export.bundle import load_bundle
from mghft_export.bundle.recorded_verifications import record_verification
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.output import echo_json, say_note
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.cli.verification_tables import print_verifications
from mghft_export.evaluation.verification.accuracy_budget import default_budget
from mghft_export.evaluation.verification.precisions import BATCH, verify_precisions
from mghft_export.evaluation.verification.verification_stickers import VerificationStickers
from mghft_export.runtime.graph_session import PROVIDERS
from mghft_export.stickers.datasets.readiness import small_set_note
from mghft_export.stickers.sticker_choice import Resample
from mghft_export.terminal import Terminal


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    help="Precision to verify; may be given several times.  [default: all but fp32]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="ROOT",
    help="Data set to verify on.  [default: the bundle's calibration set]",
)
@dataset_options
@click.option("--split", help="Split of the data set.  [default: test, or all where there are no splits]")
@click.option("--limit", type=click.IntRange(1), help="Most stickers to verify on.  [default: all]")
@click.option("--batch", type=click.IntRange(1), default=BATCH, show_default=True, help="Stickers per batch.")
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default="cpu",
    show_default=True,
    help="What runs the precisions; fp32 runs on the CPU.",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 100),
    help="Budget: percent of stickers that must keep fp32's class.  [default: fp16 99.5, int8 98.5]",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 100),
    help="Budget: points of macro F1 that may be lost.  [default: fp16 0.2, int8 0.5]",
)
@click.option("--strict", is_flag=True, help="Exit with 1 unless every budget is held.")
@click.option(
    "--resample",
    type=click.Choice(["sticker", "stem", "topic"]),
    default="sticker",
    show_default=True,
    help="What the bootstrap draws. stem: draw files with the same name in several topics together.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--skip-bad", is_flag=True, help="Leave out stickers that cannot be used.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def verify(
    bundle: Path,
    precisions: tuple[str, ...],
    data: Path | None,
    reading: Reading,
    split: str | None,
    limit: int | None,
    batch: int,
    provider: str,
    min_agreement: float | None,
    max_drop: float | None,
    strict: bool,
    resample: str,
    seed: int,
    skip_bad: bool,
    as_json: bool,
) -> int:
    """Compare the precisions of BUNDLE with its float32 graphs, and record the result in its manifest.

    If a precision misses its budget, later commands that use it warn about it.
    """
    opened = load_bundle(bundle)
    chosen = chosen_precisions(opened, precisions)
    reading.refuse_without(data, "--data ROOT")
    found = None if data is None else reading.load(data, skip_bad=skip_bad)
    stickers = chosen_stickers(opened, chosen, found, split=split, limit=limit)
    budgets = {
        name: default_budget(
            name,
            min_agreement=None if min_agreement is None else min_agreement / 100,
            max_drop=None if max_drop is None else max_drop / 100,
        )
        for name in chosen
    }
    with progress_bar() as progress:
        task = progress.add_task("verifying", total=len(stickers.stickers))
        verified = verify_precisions(
            opened,
            chosen,
            stickers,
            budgets=budgets,
            batch=batch,
            provider=provider,
            resample=cast(Resample, resample),
            seed=seed,
            skip_bad=skip_bad,
            on_batch=lambda done: progress.advance(task, done),
        )
    say_note(small_set_note(len(stickers.stickers)))
    if as_json:
        entries = {name: item.model_dump(mode="json") for name, item in verified.items()}
        echo_json({"bundle": str(bundle), "precisions": entries})
    else:
        show(verified, stickers, Terminal())
    record_verification(opened, verified)  # last, so that results are shown even if they cannot be saved
    return int(strict and not all(item.passed for item in verified.values()))


def show(
    verified: dict[str, PrecisionVerification], stickers: VerificationStickers, console: Console
) -> None:
    """Print the tables, and what was left out."""
    print_verifications(verified, console)
    skipped = len(stickers.stickers) - next(iter(verified.values())).stickers
    if skipped:
        console.print(Text(f"Left out: {skipped} stickers that could not be used.", "yellow"))
