"""Verifications in the manifest of a bundle. A verification no longer counts once its graphs were replaced."""

from __future__ import annotations

from collections.abc import Mapping

from mghft_export.bundle import BRANCHES, MANIFEST, Bundle, Manifest, load_bundle
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.files.atomic import replacing_file
from mghft_export.files.exclusive import exclusive
from mghft_export.files.stored_json import stored_text


def record_verification(bundle: Bundle, verified: Mapping[str, PrecisionVerification]) -> Bundle:
    """Write verifications into the manifest. They replace earlier ones of the same precisions; all else stays.

    Returns:
        The bundle with its new manifest.

    Raises:
        BundleError: the bundle was damaged meanwhile.
        MGHFTError: the manifest cannot be written; the old one stays in place.
    """
    with exclusive(bundle.root), replacing_file(bundle.root / MANIFEST) as partial:
        manifest = load_bundle(bundle.root).manifest
        entries = {**(manifest.verification or {}), **verified}
        described = manifest.model_copy(update={"verification": entries})
        partial.write_text(stored_text(described), encoding="utf-8")
    return load_bundle(bundle.root)


def recorded_verification(manifest: Manifest, precision: str) -> PrecisionVerification | None:
    """The verification of a precision against fp32; None if it was not verified."""
    entry = (manifest.verification or {}).get(precision)
    return entry if isinstance(entry, PrecisionVerification) else None


def is_stale(manifest: Manifest, precision: str, verification: PrecisionVerification) -> bool:
    """Whether a verification was made with graphs that the bundle no longer has."""
    return verification.graphs != graph_hashes(
        manifest, precision
    ) or verification.fp32_graphs != graph_hashes(manifest, "fp32")


def graph_hashes(manifest: Manifest, precision: str) -> dict[str, str]:
    """SHA-256 of a precision's branches."""
    return {branch: manifest.precisions[precision][branch].file.sha256 for branch in BRANCHES}
