"""`mghft-export interpret`: a multimodal model writes the texts of stickers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource
from rich.progress import TextColumn

from mghft_export.cli.columns_option import comma_names
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.default_group import DefaultGroup
from mghft_export.cli.image_options import background_option
from mghft_export.cli.interpret_check import check
from mghft_export.cli.interpret_merge import merge
from mghft_export.cli.interpret_tables import print_result, usage_words
from mghft_export.cli.output import echo_json
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.errors import InterpreterError
from mghft_export.interpretation.ask import ATTEMPTS, Manner
from mghft_export.interpretation.corpus import (
    Corpus,
    Item,
    Shard,
    dataset_items,
    find_images,
    parse_shard,
    printable,
    read_corpus,
)
from mghft_export.interpretation.cost import Prices
from mghft_export.interpretation.endpoint import RETRIES, Endpoint
from mghft_export.interpretation.endpoint_address import KEY_VARIABLE, key_from_environment
from mghft_export.interpretation.frames import LARGEST_SIDE
from mghft_export.interpretation.interpret import Result
from mghft_export.interpretation.interpret import interpret as interpret_corpus
from mghft_export.interpretation.local_model import LocalModel
from mghft_export.interpretation.protocol import Backend
from mghft_export.interpretation.rules import Rules
from mghft_export.interpretation.running import Progress as RunProgress
from mghft_export.interpretation.text_outputs import check_output, default_journal
from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.datasets.labels import SER30K_CLASSES
from mghft_export.terminal import Terminal

SECONDS_BETWEEN_LINES = 60
"""Between two lines of progress, if the output is a file."""

OF_ENDPOINTS = ("model", "key_variable", "concurrency", "retries", "timeout")
OF_LOCAL_MODELS = ("device", "batch")


@click.group(cls=DefaultGroup)
def interpret() -> None:
    """Let a multimodal model write the texts of stickers, in the four views that MGHFT reads.

    `mghft-export interpret IMAGE...` is `mghft-export interpret run IMAGE...`. Its options are listed by
    `mghft-export interpret run --help`.
    """


interpret.add_command(check)
interpret.add_command(merge)


@interpret.command()
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, metavar="[IMAGE]...")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="ROOT", help="Describe this data set instead."
)
@dataset_options
@click.option("--skip-bad", is_flag=True, help="Leave out bad rows of ROOT.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="FILE.jsonl to write; or, with --data, the folder of a new data set for train, calibrate and eval.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    help="Record of finished stickers.  [default: OUTPUT.journal.jsonl]",
)
@click.option(
    "--endpoint", metavar="URL", help="OpenAI-compatible server, for example http://localhost:8000/v1."
)
@click.option("--model", default="", metavar="NAME", help="Model of the endpoint.  [default: its only model]")
@click.option(
    "--local",
    metavar="MODEL",
    help="Use this transformers model instead of an endpoint: a folder or a hub name.",
)
@click.option("--device", help="Device for a local model, as PyTorch names it.  [default: a GPU, if any]")
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Stickers per batch of a local model.",
)
@click.option(
    "--key-variable", default=KEY_VARIABLE, show_default=True, help="Environment variable with the key."
)
@click.option("--language", default="English", show_default=True, help="Language of the texts.")
@click.option("--allow-labels", is_flag=True, help="Allow texts to name classes.")
@click.option(
    "--labels", help="Names that texts must not use, separated by commas.  [default: the data set's classes]"
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 4096),
    default=16,
    show_default=True,
    help="Requests at the same time.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=ATTEMPTS,
    show_default=True,
    help="Most requests per sticker.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=RETRIES,
    show_default=True,
    help="Retries of a request that got no answer.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=120,
    show_default=True,
    help="Seconds to wait for an answer.",
)
@click.option(
    "--max-tokens", type=click.IntRange(64), default=1024, show_default=True, help="Most tokens in an answer."
)
@click.option(
    "--image-size",
    type=click.IntRange(56, 4096),
    default=LARGEST_SIDE,
    show_default=True,
    help="Longest side of an image that the model gets, in pixels.",
)
@background_option
@click.option("--shard", metavar="I/N", help="Describe the I-th of N parts, for a job array.")
@click.option("--retry-failed", is_flag=True, help="Try stickers again that failed before.")
@click.option(
    "--price-in",
    type=click.FloatRange(0),
    default=0.0,
    help="Price of a million tokens sent, to estimate costs.",
)
@click.option(
    "--price-out", type=click.FloatRange(0), default=0.0, help="Price of a million tokens received."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.pass_context
def run(
    ctx: click.Context,
    images: tuple[Path, ...],
    data: Path | None,
    reading: Reading,
    skip_bad: bool,
    output: Path,
    journal: Path | None,
    endpoint: str | None,
    model: str,
    local: str | None,
    device: str | None,
    batch: int,
    key_variable: str,
    language: str,
    allow_labels: bool,
    labels: str | None,
    concurrency: int,
    attempts: int,
    retries: int,
    timeout: float,
    max_tokens: int,
    image_size: int,
    background: str,
    shard: str | None,
    retry_failed: bool,
    price_in: float,
    price_out: float,
    as_json: bool,
) -> int:
    """Describe each IMAGE, or all images of a folder, or a data set.

    Run the same command again to continue after a stop. Stickers that could not be described are listed and left out;
    the exit status is then 1.
    """
    if (endpoint is None) == (local is None):
        raise InterpreterError(
            "say who describes the stickers: --endpoint URL (images are sent there) or --local MODEL"
        )
    _refuse_given(ctx, OF_LOCAL_MODELS if endpoint else OF_ENDPOINTS, "--endpoint" if endpoint else "--local")
    if bool(images) == (data is not None):
        raise InterpreterError("give either images or a data set with --data")
    reading.refuse_without(data, "--data ROOT")
    if allow_labels and labels is not None:
        raise InterpreterError("give either --labels or --allow-labels, not both")
    journal = journal or default_journal(output)
    check_output(output, data, [journal])
    part = parse_shard(shard) if shard is not None else None
    dataset = None
    if data is not None:
        dataset = reading.load(data, skip_bad=skip_bad, need_texts=False)
    rules = Rules(labels=_forbidden(allow_labels, labels, dataset))
    manner = Manner(language, rules, attempts, background, image_size)
    backend: Backend
    if endpoint is not None:
        backend = Endpoint(
            endpoint,
            model,
            key=key_from_environment(key_variable),
            key_variable=key_variable,
            concurrency=concurrency,
            retries=retries,
            timeout=timeout,
            max_tokens=max_tokens,
        )
    else:
        assert local is not None
        backend = LocalModel(local, device=device, batch=batch, max_tokens=max_tokens)
    prices = Prices(price_in, price_out)
    corpus = read_items(dataset_items(dataset) if dataset else find_images(images), dataset, part)
    with progress_bar(TextColumn("{task.fields[values]}", markup=False)) as shown:
        task = shown.add_task("describing", total=None, values="")
        said = time.monotonic()

        def on_progress(progress: RunProgress) -> None:
            nonlocal said
            words = usage_words(progress, prices)
            shown.update(task, total=progress.total, completed=progress.done, values=words)
            if shown.disable and time.monotonic() - said >= SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                click.echo(f"{progress.done} of {progress.total}, {words}", err=True)

        result = asyncio.run(
            interpret_corpus(
                corpus,
                backend,
                manner,
                journal=journal,
                output=output,
                retry_failed=retry_failed,
                on_progress=on_progress,
            )
        )
    if as_json:
        echo_json(_as_json(result, prices, output, journal))
    else:
        print_result(result, prices, output, journal, Terminal())
    return int(bool(result.failures))


def read_items(items: Sequence[Item], dataset: StickerSet | None, shard: Shard | None) -> Corpus:
    """Hash the images, with a progress bar."""
    with progress_bar() as shown:
        task = shown.add_task("reading images", total=len(items))
        return read_corpus(items, dataset=dataset, shard=shard, on_image=lambda: shown.advance(task))


def _forbidden(allow: bool, labels: str | None, dataset: StickerSet | None) -> tuple[str, ...]:
    if allow:
        return ()
    if labels is not None:
        return comma_names(labels)
    return dataset.class_names if dataset else SER30K_CLASSES


def _refuse_given(ctx: click.Context, names: Sequence[str], backend: str) -> None:
    given = next(
        (name for name in names if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE), None
    )
    if given is not None:
        raise InterpreterError(f"--{given.replace('_', '-')} has no meaning with {backend}; leave it out")


def _as_json(result: Result, prices: Prices, output: Path, journal: Path) -> dict[str, object]:
    values = asdict(result)
    values["failures"] = [{"image": printable(item.image), "reason": item.reason} for item in result.failures]
    return {
        **values,
        "cost": result.usage.cost(prices),
        "output": printable(output) if result.written else None,
        "journal": printable(journal),
    }
