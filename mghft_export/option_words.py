"""Command-line options that give the values of a pydantic model (`cli/model_options.py` defines the options)."""

from __future__ import annotations

from pydantic import BaseModel


def option_words(values: BaseModel) -> list[str]:
    """The options that give these values. A default value needs no option."""
    words: list[str] = []
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        if field.description is None or value == field.get_default(call_default_factory=True):
            continue
        word = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{word}" if value else f"--no-{word}")
        else:
            words += [f"--{word}", str(value)]
    return words
