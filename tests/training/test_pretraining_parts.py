"""Line art and class prototypes: what the pretraining adds to a drawing and to a head."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from mghft_export.model.checkpoint import read_safetensors
from mghft_export.model.mghft import MGHFT
from mghft_export.training.line_art import line_art
from mghft_export.training.prototypes import class_prototypes, cropped, image_features
from mghft_export.training.recipe import load_recipe
from mghft_export.training.setup import load_pretrained

PRETRAINED = Path(__file__).parents[2] / "calibration" / "pretrained" / "mini-pretraining.safetensors"


def face(mouth: str, colour: str, shift: int = 0) -> Image.Image:
    """A round face of 72 px with one of three mouths."""
    image = Image.new("RGB", (72, 72), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((12 + shift, 12 + shift, 56 + shift, 56 + shift), fill=colour, outline="black", width=2)
    box = (24 + shift, 28 + shift, 44 + shift, 48 + shift)
    if mouth == "smile":
        draw.arc(box, 20, 160, fill="black", width=3)
    elif mouth == "frown":
        draw.arc(box, 200, 340, fill="black", width=3)
    else:
        draw.line((24 + shift, 40 + shift, 44 + shift, 40 + shift), fill="black", width=3)
    return image


def test_line_art_keeps_outlines_dark_and_the_ground_light() -> None:
    image = face("smile", "gold")
    random.seed(0)
    forms = {np.asarray(line_art(image)).tobytes() for _ in range(40)}
    assert len(forms) >= 5
    for _ in range(10):
        pixels = np.asarray(line_art(image).convert("L")).astype(int)
        assert pixels.shape == (72, 72)
        assert pixels[2, 2] > 200  # outside
        assert pixels[12:16, 34:38].min() < 60  # the outline's top
        assert pixels[30, 34] > pixels[12:16, 34:38].min() + 50  # inside


def test_features_are_of_the_drawing_and_not_of_its_place() -> None:
    here, there = image_features(face("smile", "gold")), image_features(face("smile", "gold", shift=10))
    other = image_features(face("frown", "gold"))
    assert np.linalg.norm(here - there) < 0.3 * np.linalg.norm(here - other)
    assert cropped(Image.new("RGB", (8, 6), "white")).size == (8, 6)


def test_prototypes_tell_classes_apart_by_what_their_drawings_share() -> None:
    """Mouths are the classes; colours vary within each, so they are no direction of a class."""
    images, labels = [], []
    for label, mouth in enumerate(("smile", "frown", "line")):
        for colour in ("gold", "lightblue", "pink", "lightgreen"):
            for blur in (0, 1):
                images.append(face(mouth, colour).filter(ImageFilter.GaussianBlur(blur)))
                labels.append(label)
    found = class_prototypes(images, np.array(labels), 2)
    assert found.shape == (3, 2)
    assert torch.allclose(found.norm(dim=1), torch.ones(3))
    cosines = found @ found.T
    assert (
        float((cosines - torch.eye(3)).max()) < 0.2
    )  # as far apart as three vectors of a plane can be: -0.5 each
    mixed = np.arange(len(labels)) % 3  # classes without anything in common
    assert not torch.allclose(class_prototypes(images, mixed, 2).abs(), found.abs(), atol=0.1)


def test_the_pretrained_pyramid_fits_the_recipe_that_starts_from_it() -> None:
    model = MGHFT(load_recipe("mini-without-text").build_config(7), text_model=False)
    load_pretrained(model, PRETRAINED)
    key = "vision_model.block4.0.attn.q.weight"
    assert torch.equal(model.state_dict()[key], read_safetensors(PRETRAINED)[key].float())
    assert PRETRAINED.stat().st_size < 16e6
