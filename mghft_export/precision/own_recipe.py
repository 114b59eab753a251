"""How a bundle's missing precisions are made: as its others were."""

from __future__ import annotations

from mghft_export.bundle import Bundle
from mghft_export.bundle.quantization_recipe import parse_recipe
from mghft_export.errors import MGHFTError
from mghft_export.precision.calibrated_set import calibrated_set
from mghft_export.precision.calibration_run import PrecisionOptions


def own_options(bundle: Bundle, precision: str) -> tuple[PrecisionOptions, str]:
    """Options that add a precision to a bundle, and where they come from, for people.

    INT8 takes the recipe and the ranges of the other form of INT8, where the bundle has it. All else takes the
    calibration set that the bundle was made with or, saying why, the one that comes along.

    Raises:
        MGHFTError: the recipe needs its calibration set, and that is not there any more.
        BundleError: the recipe was changed after the export.
    """
    found = calibrated_set(bundle.manifest, instead="export it again with one")
    made = {name: entry for name, entry in bundle.manifest.quantization.items() if name != precision}
    if not precision.startswith("int8") or not made:
        return PrecisionOptions(calibration=found.root), f"on {found.name}"
    other, entry = next(iter(made.items()))
    recipe = parse_recipe(bundle.read(entry.recipe), bundle.root / entry.recipe.path)
    stickers = int(recipe.calibration_set.get("stickers", 0)) or None
    if recipe.smooth is not None and not found.is_its_own:
        raise MGHFTError(
            f"the {other} recipe of {bundle.root} smooths the channels that it saw on its calibration set, and that is "
            f"not there any more; export the bundle again with --precision {precision} --calibration SET"
        )
    options = PrecisionOptions(calibration=found.root, recipe=recipe, stickers=stickers)
    return options, f"with the recipe and ranges of its {other} graphs"
