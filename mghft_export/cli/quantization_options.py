"""Options that say how INT8 ranges are found, for commands that quantise."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mghft_export.bundle.quantization_recipe import Calibrator, QuantizationRecipe, read_recipe
from mghft_export.errors import MGHFTError


class QuantizationOptions(BaseModel):
    """What the user says about ranges; None means the recipe's default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibrator: Calibrator | None = Field(
        default=None, description="How INT8 ranges are found.  [default: percentile]"
    )
    percentile: float | None = Field(
        default=None,
        gt=50,
        le=100,
        description="Share of values, in percent, that the percentile calibrator keeps.  [default: 99.99]",
    )
    smooth: float | None = Field(default=None, ge=0, le=1, description="SmoothQuant's alpha.  [default: off]")
    recipe: Path | None = Field(
        default=None,
        description="recipe.json of a quantised bundle: takes its choices and its ranges.",
    )

    def quantization_recipe(self) -> QuantizationRecipe:
        """The recipe in the file, or the default recipe with the user's choices.

        Raises:
            MGHFTError: both are given, or the file is not a recipe.
        """
        choices = self.model_dump(exclude={"recipe"}, exclude_none=True)
        if self.recipe is None:
            return QuantizationRecipe(**choices)
        if choices:
            raise MGHFTError(
                "--recipe already says how ranges are found; leave out --calibrator, --percentile, --smooth"
            )
        return read_recipe(self.recipe)
