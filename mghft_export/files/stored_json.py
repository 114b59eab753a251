"""The common base of the JSON files that this package writes, and the one function that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mghft_export.errors import MGHFTError


class Stored(BaseModel):
    """Part of a JSON file that this package writes. It is immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Versioned(BaseModel):
    schema_version: int


Schema = TypeVar("Schema", bound=Stored)


def parse_stored(
    content: str | bytes, schema: type[Schema], *, path: Path, advice: str, error: type[MGHFTError]
) -> Schema:
    """The values of a file, checked against its schema.

    Args:
        schema: the file's schema; files with another `schema_version` are refused.
        path: the file's path, for the message.
        advice: the end of the message, which says what to do: "export the bundle again".
        error: the class of the error that is raised.

    Raises:
        MGHFTError: the content is not JSON, is of another version, or does not fit the schema.
    """
    known = schema.model_fields["schema_version"].default
    try:
        version = _Versioned.model_validate_json(content, strict=True).schema_version
        if version != known:
            raise error(f"{path} has schema version {version}, this program reads {known}; {advice}")
        return schema.model_validate_json(content, strict=True)
    except ValidationError as problem:
        first = problem.errors()[0]
        if first["type"] == "json_invalid":
            raise error(f"{path} is not JSON; {advice}") from problem
        where = ".".join(str(part) for part in first["loc"])
        raise error(f"{path} is damaged at {where!r} ({first['msg']}); {advice}") from problem


def stored_text(values: Stored) -> str:
    """The content of a file with these values."""
    return values.model_dump_json(indent=1) + "\n"
