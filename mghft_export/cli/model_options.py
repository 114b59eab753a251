"""Click options from a pydantic model, so that each setting is defined once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Command = TypeVar("Command", bound=Callable[..., Any])


def model_options(model: type[BaseModel], argument: str) -> Callable[[Command], Callable[..., Any]]:
    """Add an option for each field of a model with a description. The description becomes the help text.

    A bool becomes a flag (`--name`, or `--name/--no-name` if it is on by default), a Literal becomes a choice, and a
    tuple becomes an option that may be given several times. A field with limits takes a number within them. If a field
    has an alias, the option has the alias as its name.

    Args:
        argument: the argument of the command that gets the filled model.
    """

    options = {name: field for name, field in model.model_fields.items() if field.description is not None}

    def decorate(command: Command) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_model(*arguments: object, **others: object) -> Any:
            values = {name: others.pop(name) for name in options}
            return command(*arguments, **{argument: model(**values)}, **others)

        decorated: Callable[..., Any] = with_model
        for name, field in reversed(options.items()):
            decorated = _option(name, field)(decorated)
        return decorated

    return decorate


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    word = "--" + (field.alias or name).replace("_", "-")
    default = field.get_default(call_default_factory=True)
    if field.annotation is bool:
        declared = f"{word}/--no-{word[2:]}" if default else word
        return click.option(declared, name, is_flag=True, default=default, help=field.description)
    multiple = get_origin(field.annotation) is tuple
    return click.option(
        word,
        name,
        type=_type_of(field),
        default=default,
        multiple=multiple,
        show_default=default not in (None, ()),
        help=field.description,
    )


def _type_of(field: FieldInfo) -> click.ParamType[Any] | type[Any]:
    kind: Any = field.annotation
    if get_origin(kind) is not Literal:  # X | None and tuple[X, ...] are X
        kind = next((part for part in get_args(kind) if part not in (NoneType, Ellipsis)), kind)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is Path:
        return click.Path(path_type=Path)
    limits = _limits(field)
    if kind is int:
        return click.IntRange(**limits) if limits else int
    if kind is float:
        return click.FloatRange(**limits) if limits else float
    if kind is str:
        return str
    raise TypeError(f"a field of type {field.annotation} has no option")


def _limits(field: FieldInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names: Mapping[str, tuple[str, bool]] = {
        "ge": ("min", False),
        "gt": ("min", True),
        "le": ("max", False),
        "lt": ("max", True),
    }
    for item in field.metadata:
        for name, (side, is_open) in names.items():
            if (limit := getattr(item, name, None)) is not None:
                found[side] = limit
                if is_open:
                    found[f"{side}_open"] = True
    return found
