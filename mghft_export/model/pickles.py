"""Reads files of torch.save without running code: tensors, plain containers, and data of a few known kinds.

A training program saves more than weights: the best accuracy as a numpy scalar, paths and dates in its command line,
callbacks. Only the command line's numbers matter here. The rest is read as :class:`_Unread`, whatever it was, so that a
stranger's file can call no class of numpy, pathlib or omegaconf. A file that names anything else is refused.
"""

from __future__ import annotations

import argparse
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from mghft_export.errors import CheckpointError


class _Unread:
    """Stands for an object that is only data and that this program does not read."""

    def __new__(cls, *values: object) -> _Unread:
        return super().__new__(cls)

    def __init__(self, *values: object) -> None:
        self.values = values

    def __setstate__(self, state: object) -> None:
        self.state = state


def _empty_dict(*values: object) -> dict[object, object]:
    """Stands for a defaultdict; the file fills in its items afterwards."""
    return {}


_NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?"} | {
    f"{kind}{size}": (letter if kind == "i" else letter.upper())
    for kind in "iu"
    for size, letter in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
}
"""numpy's name of a type -> the letter of the same type in :mod:`struct`."""


def _numpy_scalar(dtype: object = None, content: object = None, *_: object) -> object:
    """A plain number for a numpy scalar of a common type; :class:`_Unread` for any other type."""
    if isinstance(dtype, _Unread) and isinstance(content, bytes) and dtype.values:
        state = getattr(dtype, "state", None)
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
        form = _NUMBERS.get(str(dtype.values[0]))
        form = form and (">" if order == ">" else "<") + form
        if form is not None and struct.calcsize(form) == len(content):
            return struct.unpack(form, content)[0]
    return _Unread(dtype, content)


_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and since numpy 2

_READ_AS: dict[str, Any] = {
    "argparse.Namespace": argparse.Namespace,
    "types.SimpleNamespace": argparse.Namespace,
    **{f"{module}.scalar": _numpy_scalar for module in _NUMPY},
    # A numpy array keeps its values in its state, which is not read.
    **dict.fromkeys([f"{module}._reconstruct" for module in _NUMPY], _Unread),
    **dict.fromkeys(
        [
            *("numpy.dtype", "numpy.ndarray", "typing.Any"),
            *(f"builtins.{name}" for name in ("dict", "float", "int", "list", "str", "bool")),
            *(f"pathlib.{kind}" for kind in ("Path", "PosixPath", "WindowsPath")),
            *(f"pathlib.{kind}" for kind in ("PurePath", "PurePosixPath", "PureWindowsPath")),
            *(f"pathlib._local.{kind}" for kind in ("Path", "PosixPath", "WindowsPath")),  # Python 3.13
            *(f"datetime.{kind}" for kind in ("datetime", "date", "time", "timedelta", "timezone")),
            *("decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
            *(f"omegaconf.{kind}" for kind in ("dictconfig.DictConfig", "listconfig.ListConfig")),
            *(f"omegaconf.base.{kind}" for kind in ("Metadata", "ContainerMetadata")),
            *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "String", "Integer", "Float", "Boolean")),
        ],
        _Unread,
    ),
    # The unpickler calls a defaultdict with its default; it makes subclasses of dict with `__new__`.
    "collections.defaultdict": _empty_dict,
    **dict.fromkeys(
        [
            "easydict.EasyDict",
            "lightning.fabric.utilities.data.AttributeDict",
            "lightning_fabric.utilities.data.AttributeDict",
            "lightning.pytorch.utilities.parsing.AttributeDict",
            "pytorch_lightning.utilities.parsing.AttributeDict",
        ],
        dict,
    ),
}
"""Names of classes and functions that hold only data -> what stands for them while reading."""


def read_pickle(path: Path) -> Any:
    """The content of a file that torch wrote.

    Raises:
        CheckpointError: the file cannot be read, or names anything that is neither a tensor nor known to be data.
    """
    known: list[Any] = [(kind, name) for name, kind in _READ_AS.items()]
    try:
        with torch.serialization.safe_globals(known):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint at {path}") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path} is a folder; pass the checkpoint file in it") from error
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise CheckpointError(
                f"{path} wants to run {wanted[1].rstrip('.')!r} while loading, which is refused; "
                "save its state_dict alone, or as safetensors"
            ) from error
        raise CheckpointError(f"{path} is damaged or not a checkpoint that torch wrote") from error
    except (
        *(RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError),
        *(AssertionError, zipfile.BadZipFile, struct.error),
    ) as error:
        raise CheckpointError(
            f"{path} is truncated or not a checkpoint that torch wrote; copy it again"
        ) from error
