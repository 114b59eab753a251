"""The calibration set that a bundle was made with, found again: by its hash, where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.bundle import Manifest
from mghft_export.bundle.calibration_manifest import read_manifest
from mghft_export.errors import DataError, MGHFTError
from mghft_export.precision.calibration.calibration_set import CalibrationSet
from mghft_export.precision.calibration.default_set import default_calibration_set


@dataclass(frozen=True)
class FoundSet:
    """A set to use where none is given.

    Attributes:
        name: of the set and why it is this one, for people.
        is_its_own: the bundle was calibrated with it.
    """

    root: Path
    name: str
    is_its_own: bool = False


def given_set(root: Path) -> FoundSet:
    """A set that somebody asked for."""
    return FoundSet(root, f"calibration set {root.resolve().name}")


def set_entry(calibration: CalibrationSet) -> dict[str, str]:
    """How a recipe and a manifest name a set; of one that does not come along also where it is."""
    entry = {"name": calibration.root.resolve().name, "sha256": calibration.set_hash}
    if calibration.set_hash != _default_hash():
        entry["path"] = str(calibration.root.resolve())
    return entry


def calibrated_set(
    manifest: Manifest, precisions: Sequence[str] | None = None, *, instead: str = "name one"
) -> FoundSet:
    """The set that a bundle was calibrated with, or, saying why, the one that comes with the package.

    Args:
        precisions: whose set; of all by default. FP16 has none of its own, but the set on which its overflows were
            looked for.
        instead: what a person can do where there are several, for the error.

    Raises:
        MGHFTError: there are several.
        DataError: the set that comes along is not installed.
    """
    entries = _entries(manifest, precisions)
    if len(entries) > 1:
        names = " and ".join(f"{entry.get('name', 'one')} ({precision})" for precision, entry in entries)
        raise MGHFTError(f"the bundle was calibrated with different sets, {names}; {instead}")

    def default(why: str, *, is_its_own: bool = False) -> FoundSet:
        return FoundSet(default_calibration_set(), f"the default calibration set, {why}", is_its_own)

    if not entries:
        return default("as the bundle was calibrated with none")
    entry = entries[0][1]
    name, wanted = entry.get("name", "of another name"), entry["sha256"]
    if wanted == _default_hash():
        return default("which the bundle was calibrated with", is_its_own=True)
    if "path" not in entry:
        return default(f"as the bundle was calibrated with set {name} and does not say where that is")
    place = Path(entry["path"])
    if _hash_of(place) == wanted:
        return FoundSet(
            place, f"calibration set {name}, which the bundle was calibrated with", is_its_own=True
        )
    return default(f"as set {name}, which the bundle was calibrated with, is not at {place} any more")


def _entries(manifest: Manifest, precisions: Sequence[str] | None) -> list[tuple[str, dict[str, str]]]:
    """Different sets, each with one of the precisions that were made with it."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for precision, made in manifest.quantization.items():
        if (precisions is None or precision in precisions) and "sha256" in made.calibration_set:
            found.setdefault(made.calibration_set["sha256"], (precision, made.calibration_set))
    looked_at = (manifest.magnitudes or {}).get("calibration_set")
    if not found and isinstance(looked_at, dict) and "sha256" in looked_at:
        found[looked_at["sha256"]] = ("fp16", looked_at)
    return list(found.values())


def _default_hash() -> str | None:
    """None where the package was installed without its set."""
    try:
        return _hash_of(default_calibration_set())
    except DataError:
        return None


def _hash_of(root: Path) -> str | None:
    """Of the set in a folder; None where there is none that can be read."""
    try:
        return read_manifest(root).set_hash
    except DataError:
        return None
