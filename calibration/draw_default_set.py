"""Draws ``calibration/default``, the calibration set that is installed with the package.

    python calibration/build_emoji_set.py EMOJI_SET
    python calibration/draw_default_set.py EMOJI_SET calibration/default

It has 160 stickers of the emoji set's train split, in proportion to its classes and styles. OpenMoji is left out,
because its licence (CC BY-SA 4.0) would apply to everything made from it. The licences are those of the small set.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from mghft_export.errors import MGHFTError
from mghft_export.precision.calibration.sampling import sample_stickers
from mghft_export.precision.calibration.write_set import write_calibration_set
from mghft_export.stickers.dataset import load_dataset

SEED = 0
SIZE = 160
STYLES = ("twemoji", "noto", "fluent_3d", "fluent_flat")
SMALL_SET = Path(__file__).resolve().parent / "stickers-small"


@click.command()
@click.argument("emoji_set", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(emoji_set: Path, out: Path) -> None:
    """Draw a calibration set from EMOJI_SET into OUT, replacing an earlier one."""
    try:
        sample = sample_stickers(load_dataset(emoji_set), SIZE, seed=SEED, topics=STYLES)
        write_calibration_set(sample, out, name="emoji")
    except MGHFTError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    licences = (SMALL_SET / "LICENSES.md").read_text(encoding="utf-8").replace("Images/", "images/")
    (out / "LICENSES.md").write_text(licences, encoding="utf-8")
    shutil.copytree(SMALL_SET / "licenses", out / "licenses")


if __name__ == "__main__":
    main()
