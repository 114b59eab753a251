"""Find the calibration set that a bundle was made with: at its recorded path, recognised by its hash."""

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
    """A calibration set to use.

    Attributes:
        root: its folder.
        name: its name for people, with the reason for this choice if nobody asked for the set.
        is_its_own: whether the bundle was calibrated with it.
    """

    root: Path
    name: str
    is_its_own: bool = False


def given_set(root: Path) -> FoundSet:
    """A set that somebody asked for."""
    return FoundSet(root, f"calibration set {root.resolve().name}")


def set_entry(calibration: CalibrationSet) -> dict[str, str]:
    """The entry by which a recipe and a manifest name a set. It has a path unless the set is the default one."""
    entry = {"name": calibration.root.resolve().name, "sha256": calibration.set_hash}
    if calibration.set_hash != _default_hash():
        entry["path"] = str(calibration.root.resolve())
    return entry


def calibrated_set(
    manifest: Manifest, precisions: Sequence[str] | None = None, *, instead: str = "name one"
) -> FoundSet:
    """The set that a bundle was calibrated with. If it is not found, the default set, with a name that says why.

    Args:
        precisions: look for the set of these precisions; of all by default. FP16 is not calibrated. Its set is the one
            on which the conversion looked for values too large for FP16.
        instead: advice for the error if there are several sets.

    Raises:
        MGHFTError: the precisions were calibrated with different sets.
        DataError: the default set is needed and is not installed.
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
    """The different sets of these precisions, as pairs: one precision that was made with the set, and its entry."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for precision, made in manifest.quantization.items():
        if (precisions is None or precision in precisions) and "sha256" in made.calibration_set:
            found.setdefault(made.calibration_set["sha256"], (precision, made.calibration_set))
    looked_at = (manifest.magnitudes or {}).get("calibration_set")
    if not found and isinstance(looked_at, dict) and "sha256" in looked_at:
        found[looked_at["sha256"]] = ("fp16", looked_at)
    return list(found.values())


def _default_hash() -> str | None:
    """Hash of the default set; None if the package was installed without it."""
    try:
        return _hash_of(default_calibration_set())
    except DataError:
        return None


def _hash_of(root: Path) -> str | None:
    """Hash of the set in a folder; None if there is no set that can be read."""
    try:
        return read_manifest(root).set_hash
    except DataError:
        return None
