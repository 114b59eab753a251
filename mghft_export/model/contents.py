"""Finds an MGHFT's parameters in a file, whichever program saved them.

A released file is `{"model": state dict, "args": ...}`. Other programs put the state dict under `state_dict`, and an
average of the weights beside it under `model_ema`. Their parameter names may start with the attribute that holds the
model (Lightning's `model.`) or with a wrapper's name (`module.` of DistributedDataParallel, `_orig_mod.` of
torch.compile). So this module looks for the parameters' own names, with any prefix, up to three dicts below the top.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mghft_export.errors import CheckpointError

WeightsChoice = Literal["model", "ema"]
"""The weights as trained, or their moving average."""

_SIGNS = ("vision_model.patch_embed1.proj.weight", "fusion_model.ffn.fc1.weight")
"""Parameters that every MGHFT has and hardly any other model has."""

_WRAPPERS = frozenset(
    {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
)
"""Parts that wrappers add anywhere in a parameter's name; the model's own names contain none of them."""

_BOOKKEEPING = ("n_averaged", "embeddings.position_ids")
"""Name endings of tensors that are not weights: AveragedModel's counter, and a buffer of older transformers."""

_AVERAGE = re.compile(r"(?<![a-z])(ema|swa|averaged?)(?![a-z])")
_DEPTH = 3
_MOST_NAMED = 6


@dataclass(frozen=True)
class Found:
    """An MGHFT's parameters in a file.

    Attributes:
        state: by released name.
        args: the training command's arguments, where the file has them.
        taken: which weights were taken, worded for a message; empty where the file is only a plain state dict.
        ignored: names of what else is in the file.
    """

    state: dict[str, Tensor]
    args: argparse.Namespace | None
    taken: str
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    where: tuple[str, ...]
    prefix: str
    state: dict[str, Tensor]
    left: tuple[str, ...]

    @property
    def averaged(self) -> bool:
        return any(_AVERAGE.search(name.lower()) for name in (*self.where, self.prefix))

    def __str__(self) -> str:
        names = [" / ".join(map(repr, self.where))] if self.where else []
        names += [f"the prefix {self.prefix!r}"] if self.prefix else []
        return " with ".join(names) or "the file itself"


def find_parameters(path: Path, content: object, weights: WeightsChoice | None = None) -> Found:
    """The parameters of the MGHFT in what a file holds.

    Args:
        path: the file, for error messages.
        weights: which weights to take where the file has both. None takes the weights as trained, or the average where
            the file has nothing else.

    Raises:
        CheckpointError: the file has no parameters, lacks the weights asked for, or holds several models.
    """
    candidates = list(_candidates(content, ()))
    if not candidates:
        return Found(_any_parameters(path, content), _args(content), "", ())
    plain = [candidate for candidate in candidates if not candidate.averaged]
    averages = [candidate for candidate in candidates if candidate.averaged]
    chosen = {"model": plain, "ema": averages, None: plain or averages}[weights]
    if not chosen:
        raise CheckpointError(
            f"{path} has no {'average of the weights' if weights == 'ema' else 'weights as trained'}, only "
            f"{_listed([str(candidate) for candidate in candidates])}; leave out --weights {weights}"
        )
    first = chosen[0]
    if any(not _same(first.state, other.state) for other in chosen[1:]):
        raise CheckpointError(
            f"{path} holds several models: {_listed([str(candidate) for candidate in chosen])}; "
            "save the state_dict of one alone"
        )
    others = [str(other) for other in candidates if other is not first]
    beside = [
        repr(key)
        for key in (content if isinstance(content, dict) else ())
        if first.where[:1] not in ((), (key,))
    ]
    others = [name for name in others if name not in beside]
    ignored = tuple(dict.fromkeys([*others, *beside, *map(repr, first.left)]))
    return Found(
        first.state, _args(content), str(first) if first.where or first.prefix or ignored else "", ignored
    )


def require_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite, before anything is computed with them.

    Raises:
        CheckpointError: names the first parameter with a NaN or an infinity.
    """
    broken = [
        key
        for key, value in state.items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
    if broken:
        wrong = ~torch.isfinite(state[broken[0]])
        more = f", and so have {len(broken) - 1} other parameters" if len(broken) > 1 else ""
        raise CheckpointError(
            f"{path}: {broken[0]!r} has {int(wrong.sum())} of {wrong.numel()} values that are NaN or infinite{more}; "
            "the training went wrong, so take an earlier checkpoint"
        )


def summary(found_in: str, ignored: tuple[str, ...]) -> str:
    """One sentence that says which weights were taken from a file and what was not read."""
    left = f"; not read: {_listed(list(ignored))}" if ignored else ""
    return f"Weights taken from {found_in}{left}."


def _candidates(content: object, where: tuple[str, ...]) -> Iterator[_Candidate]:
    """Every MGHFT in nested dicts; one dict can hold several with different prefixes."""
    if not isinstance(content, dict):
        return
    names = {
        key: _unwrapped(key)
        for key, value in content.items()
        if isinstance(value, Tensor) and isinstance(key, str)
    }
    prefixes = [
        name.removesuffix(sign) for sign in _SIGNS for name in names.values() if _ends_with(name, sign)
    ]
    for prefix in dict.fromkeys(prefixes):
        taken = {
            key: name.removeprefix(prefix)
            for key, name in names.items()
            if name.startswith(prefix) and not name.endswith(_BOOKKEEPING)
        }
        if len(set(taken.values())) < len(taken):
            continue  # two models with names that differ only in wrapper parts cannot be told apart
        # Only the model's parameters have its prefix. Without a prefix all tensors are taken, and loading reports those
        # that the model does not have.
        left = tuple(str(key) for key in content if key not in taken and not str(key).endswith(_BOOKKEEPING))
        raw = next(key for key, name in taken.items() if name in _SIGNS)
        sign = taken[raw]
        shown = raw.removesuffix(sign) if raw.endswith(sign) else prefix
        yield _Candidate(where, shown, {name: content[key].detach() for key, name in taken.items()}, left)
    if len(where) < _DEPTH:
        for key, value in content.items():
            yield from _candidates(value, (*where, str(key)))


def _unwrapped(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS)


def _ends_with(name: str, sign: str) -> bool:
    return name == sign or name.endswith("." + sign)


def _any_parameters(path: Path, content: object) -> dict[str, Tensor]:
    """Parameters of another model or of an incomplete MGHFT, so that a later error can name what is missing."""
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values()):
        return {str(key): value for key, value in content.items()}
    raise CheckpointError(
        f'{path} holds no parameters: expected a state dict, or a dict with one under "model" or "state_dict"'
    )


def _args(content: object) -> argparse.Namespace | None:
    """The training command's values: the released code's `args`, or Lightning's `hyper_parameters`."""
    if not isinstance(content, dict):
        return None
    for key in ("args", "hyper_parameters"):
        values: Any = content.get(key)
        if isinstance(values, argparse.Namespace):
            return values
        if isinstance(values, dict):
            inner = values.get("args")
            if isinstance(inner, argparse.Namespace):
                return inner
            return argparse.Namespace(**{str(name): value for name, value in values.items()})
    return None


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
