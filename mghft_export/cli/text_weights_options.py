"""Options for the place of a checkpoint's text weights, for all commands that read checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def text_weights_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--text-weights` and `--allow-hub` to a command, which gets both as `text_choice`."""

    @click.option(
        "--text-weights",
        metavar="PLACE",
        help="Place of a checkpoint's text weights: minilm, a folder, a .safetensors file or hf://owner/name.  "
        "[default: what the checkpoint says, if it is an installed package or beside the checkpoint]",
    )
    @click.option(
        "--allow-hub",
        is_flag=True,
        help="Let the checkpoint name text weights on the Hugging Face hub, by commit and SHA-256.",
    )
    @wraps(command)
    def with_choice(*arguments: Any, text_weights: str | None, allow_hub: bool, **options: Any) -> Any:
        from mghft_export.model.checkpoint_choice import TextChoice

        return command(*arguments, text_choice=TextChoice(text_weights, allow_hub), **options)

    return with_choice
