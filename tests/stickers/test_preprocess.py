"""The promise: pixels and values of the released evaluation (torchvision), without torch, at any shape."""

import numpy as np
import pytest
from PIL import Image

from mghft_export.errors import StickerError
from mghft_export.stickers import preprocess as module
from mghft_export.stickers.preprocess import (
    ImagePreprocessing,
    preprocess,
    preprocess_batch,
    resize_and_crop,
    resized_size,
)


def noise(width: int, height: int) -> Image.Image:
    """Every pixel differs from its neighbours, so that an offset of a fraction of a pixel shows."""
    return Image.fromarray(
        np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    )


@pytest.mark.parametrize("side", [32, 65, 224, 448])
@pytest.mark.parametrize(
    "size",
    [(448, 448), (512, 512), (333, 517), (517, 333), (1000, 701), (3, 2), (1, 1), (40, 1), (1, 33), (100, 3)],
    ids=str,
)
def test_square_target_equals_torchvision_exactly(side: int, size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    spec = ImagePreprocessing(side, side)
    released = transforms.Compose(
        [
            transforms.Resize(int(side / 0.875), transforms.InterpolationMode.BICUBIC, antialias=True),
            transforms.CenterCrop(side),
            transforms.ToTensor(),
            transforms.Normalize(spec.mean, spec.std),
        ]
    )
    image = noise(*size)
    np.testing.assert_array_equal(preprocess(image, spec), released(image).numpy())


def test_whole_image_is_kept_where_nothing_is_cropped() -> None:
    image = noise(48, 32)
    kept = resize_and_crop(image, ImagePreprocessing(32, 48, crop_fraction=1))
    np.testing.assert_array_equal(np.asarray(kept), np.asarray(image))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((400, 200), (512, 256)),  # the target's shape: both sides are the target's / 0.875
        ((400, 100), (1024, 256)),  # wider than the target: the height rules
        ((100, 100), (512, 512)),  # taller than the target: the width rules
    ],
)
def test_image_is_scaled_to_cover_a_target_that_is_not_square(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resized_size(size, ImagePreprocessing(224, 448)) == expected


def test_resized_image_covers_the_target_whatever_its_shape() -> None:
    for height, width in [(32, 96), (448, 224), (7, 5)]:
        spec = ImagePreprocessing(height, width, crop_fraction=1)
        for size in [(1, 1), (1, 999), (999, 1), (97, 31), (31, 97), (32, 33)]:
            resized_width, resized_height = resized_size(size, spec)
            assert resized_width >= width
            assert resized_height >= height


def test_array_is_channels_first_and_rows_are_height() -> None:
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    array = preprocess(image, ImagePreprocessing(32, 64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 1)))
    assert array.shape == (3, 32, 64)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array[:, 16, 32].tolist() == [1, -2, -0.5]


@pytest.mark.parametrize("size", [(640, 480), (333, 517), (97, 2000), (2000, 1500), (900, 1400)], ids=str)
def test_cutting_before_resizing_moves_no_value_by_more_than_one_level(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    image, spec = noise(*size), ImagePreprocessing(448, 448)
    whole = np.asarray(resize_and_crop(image, spec)).astype(int)
    monkeypatch.setattr(module, "MAX_RESIZED_PIXELS", 0)
    cut = np.asarray(resize_and_crop(image, spec)).astype(int)
    assert np.abs(cut - whole).max() <= 1


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000)], ids=str)
def test_strip_of_ten_thousand_pixels_is_not_resized_whole(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, 10_000).astype(np.uint8).reshape(size[1], size[0], 1)
    image = Image.fromarray(np.repeat(ramp, 3, axis=2))
    # Whole, it would have 2,600 million pixels. Its middle pixel fills the crop, and half of 0..255 is 127.
    kept = np.asarray(resize_and_crop(image, ImagePreprocessing(448, 448)))
    assert set(np.unique(kept)) <= {127, 128}


def test_batch_stacks_images_of_any_size() -> None:
    spec = ImagePreprocessing(32, 64)
    images = [noise(50, 40), noise(7, 90)]
    batch = preprocess_batch(images, spec)
    assert batch.shape == (2, 3, 32, 64)
    np.testing.assert_array_equal(batch[1], preprocess(images[1], spec))


def test_empty_batch_is_refused() -> None:
    with pytest.raises(StickerError, match="no images"):
        preprocess_batch([], ImagePreprocessing(32, 32))


def test_image_with_alpha_is_refused_rather_than_composited_on_black() -> None:
    with pytest.raises(StickerError, match="open_sticker"):
        preprocess(Image.new("RGBA", (8, 8)), ImagePreprocessing(32, 32))


@pytest.mark.parametrize(
    "wrong", [{"height": 0}, {"width": -1}, {"crop_fraction": 0}, {"crop_fraction": 1.1}], ids=str
)
def test_impossible_preprocessing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"cannot be|must be"):
        ImagePreprocessing(**{"height": 32, "width": 32, **wrong})  # type: ignore[arg-type]
