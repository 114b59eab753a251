"""The stickers that an export is verified on: those of a data set, or synthetic ones."""

from __future__ import annotations

from mghft_export.errors import MGHFTError
from mghft_export.exporting.build import VerifyOn
from mghft_export.exporting.verify import BATCHES, synthetic_stickers
from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.image import open_sticker


def verification_stickers(dataset: StickerSet | None, background: str, tolerance: float) -> VerifyOn:
    """Stickers of a data set's last split (the test split, where there is one), or synthetic ones.

    Raises:
        MGHFTError: the split has too few.
    """
    count = sum(BATCHES)
    if dataset is None:
        images, texts = synthetic_stickers(count)
        return VerifyOn(images, texts, f"{count} synthetic stickers", tolerance)
    name, found = list(dataset.splits.items())[-1]
    if len(found) < count:
        raise MGHFTError(
            f"{dataset.root} has {len(found)} stickers in its {name} split; the verification needs {count}"
        )
    chosen = found[:: len(found) // count][:count]
    opened = [open_sticker(sticker.image, background=background) for sticker in chosen]
    return VerifyOn(
        opened,
        [sticker.text for sticker in chosen],
        f"{count} stickers of {dataset.root.name} ({name})",
        tolerance,
    )
