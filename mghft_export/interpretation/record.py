"""One line of a journal: the result for one image from one model, with one prompt version, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from mghft_export.interpretation.rules import Rules
from mghft_export.stickers.views import VIEWS, Views, join_views


@dataclass(frozen=True)
class Source:
    """Where texts come from; with the image's hash, it is the key of a record."""

    model: str
    prompt: str
    language: str


class Record(BaseModel):
    """The description of an image, or the failure to describe it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the image file."""
    model: str
    prompt: str
    language: str
    file: str
    """The image's path, for people to read; identical images have one record."""
    views: dict[str, str]
    """The usable views; a failed record may also have some."""
    failure: str | None = None
    """Why there is no description."""
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def source(self) -> Source:
        """The source of the record's texts."""
        return Source(self.model, self.prompt, self.language)

    def complete(self, rules: Rules) -> bool:
        """Whether it is a description that these rules allow."""
        return self.failure is None and set(good_views(self.views, rules)) == set(VIEWS)

    def text(self) -> str:
        """The text in SER30K's form.

        Raises:
            StickerError: a view is missing.
        """
        intention, style, main_role, gesture = (self.views.get(view, "") for view in VIEWS)
        views: Views = (intention, style, main_role, gesture)
        return join_views(views)


def good_views(views: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """The views that the rules allow."""
    return {view: words for view, words in views.items() if view in VIEWS and rules.fault(words) is None}
