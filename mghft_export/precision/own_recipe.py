"""Add a missing precision to a bundle in the same way in which its other precisions were made."""

from __future__ import annotations

from mghft_export.bundle import Bundle
from mghft_export.bundle.quantization_recipe import parse_recipe
from mghft_export.errors import MGHFTError
from mghft_export.precision.bundle_calibration_set import calibrated_set
from mghft_export.precision.calibration_run import PrecisionOptions


def own_options(bundle: Bundle, precision: str) -> tuple[PrecisionOptions, str]:
    """Options that add a precision to a bundle, and a phrase for people that says where the options come from.

    If the bundle has the other form of INT8, the options have its recipe and its ranges. The calibration set is the one
    that the bundle was made with. If that is not found, it is the default set, and the phrase says why.

    Raises:
        MGHFTError: the bundle was calibrated with different sets, or the recipe needs its calibration set and that is
            not there any more.
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
            f"the {other} recipe of {bundle.root} uses --smooth, which needs the bundle's calibration set, and that is "
            f"not there any more; export the bundle again with --precision {precision} --calibration SET"
        )
    options = PrecisionOptions(calibration=found.root, recipe=recipe, stickers=stickers)
    return options, f"with the recipe and ranges of its {other} graphs"
