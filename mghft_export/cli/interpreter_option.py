"""`predict --interpret`: a multimodal model behind an endpoint writes the texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mghft_export.bundle import Manifest
from mghft_export.errors import InterpreterError


def refuse_beside_interpreter(
    interpret: bool, endpoint: str | None, model: str, *other_texts: Sequence[str] | Path | None
) -> None:
    """Refuse options that contradict each other.

    Raises:
        InterpreterError: texts come from two places, the endpoint is missing, or it was given without --interpret.
    """
    if interpret and endpoint is None:
        raise InterpreterError("--interpret sends the images to a server; name it with --endpoint URL")
    if not interpret and (endpoint is not None or model):
        raise InterpreterError(
            "--endpoint and --interpreter-model belong to --interpret; add it or leave them out"
        )
    if interpret and any(other_texts):
        raise InterpreterError("give either texts or --interpret, not both")


def interpreted_texts(
    images: Sequence[Path], endpoint: str, model: str, manifest: Manifest, errors: Console
) -> dict[Path, str]:
    """The texts of images. Images that could not be described are listed on stderr and left out.

    Raises:
        InterpreterError: the endpoint cannot answer any request.
    """
    import asyncio

    from mghft_export.interpretation.ask import Manner
    from mghft_export.interpretation.corpus import printable
    from mghft_export.interpretation.endpoint import Endpoint
    from mghft_export.interpretation.endpoint_address import KEY_VARIABLE, key_from_environment
    from mghft_export.interpretation.interpret import describe_images
    from mghft_export.interpretation.rules import Rules

    if not images:
        return {}
    backend = Endpoint(endpoint, model, key=key_from_environment(), key_variable=KEY_VARIABLE)
    manner = Manner(rules=Rules(labels=manifest.class_names), background=manifest.image.background)
    with errors.status("describing") as status:
        texts, failures = asyncio.run(
            describe_images(
                images,
                backend,
                manner,
                on_progress=lambda progress: status.update(f"described {progress.done} of {progress.total}"),
            )
        )
    for failure in failures:
        reason = f" {printable(failure.image)} could not be described: {failure.reason}"
        errors.print(Text.assemble(("error:", "bold red"), reason))
    return texts
