"""Fixed directions of classes, for pretraining with very many classes of few images.

A head of a thousand classes with ten images each learns slowly, because at first it does not know which classes are
alike. Here each class has a fixed direction (a prototype) instead, and classes that look alike have similar directions.
The model learns to point at its class's direction. The directions come from histograms of oriented gradients (Dalal and
Triggs, CVPR 2005) through linear discriminant analysis: it keeps what differs between classes and varies little within
one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.decomposition import PCA
from torch import Tensor

SIDES = (64, 32)
"""Side lengths in pixels of the two sizes at which gradients are counted."""
CELL = 8
"""Pixels of a cell along one side."""
DIRECTIONS = 9
"""Number of bins for a gradient's direction."""
THUMBNAIL, THUMBNAIL_WEIGHT = 8, 0.5
"""Side in pixels of the thumbnail that gives the colours, and its weight relative to the gradients."""
INK = 12
"""A pixel that differs more than this from white (of 255) belongs to the drawing."""
COMPONENTS = 400
"""Number of principal components that the analysis uses."""
SHRINKAGE = 0.1
"""Share of the mean variance that is added to all variances within classes."""

Array = npt.NDArray[np.float64]


def image_features(image: Image.Image) -> Array:
    """A vector that describes a drawing on white, whatever its position and size."""
    drawing = cropped(image.convert("RGB"))
    parts = [gradient_histograms(drawing.resize((side, side), Image.Resampling.BICUBIC)) for side in SIDES]
    thumbnail = np.asarray(drawing.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), np.float64) / 255
    return np.concatenate([*parts, THUMBNAIL_WEIGHT * thumbnail.ravel()])


def cropped(image: Image.Image) -> Image.Image:
    """The square around everything that is not white; the image itself if it is all white."""
    ink = (255 - np.asarray(image).astype(np.int64)).max(axis=2) > INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return image
    half = (max(rows[-1] - rows[0], columns[-1] - columns[0]) + 2) // 2 + 1
    middle_row, middle_column = (rows[0] + rows[-1] + 1) // 2, (columns[0] + columns[-1] + 1) // 2
    return image.crop((middle_column - half, middle_row - half, middle_column + half, middle_row + half))


def gradient_histograms(image: Image.Image) -> Array:
    """A histogram of gradient directions for each cell, normalised by the cells around it."""
    grey = np.asarray(image.convert("L"), np.float64) / 255
    vertical, horizontal = np.gradient(grey)
    magnitude = np.sqrt(np.hypot(vertical, horizontal))
    position = (np.arctan2(vertical, horizontal) % np.pi) / np.pi * DIRECTIONS
    lower, share = position.astype(int) % DIRECTIONS, position - np.floor(position)
    rows, columns = np.indices(grey.shape)
    maps = np.zeros((*grey.shape, DIRECTIONS))
    maps[rows, columns, lower] += magnitude * (1 - share)
    maps[rows, columns, (lower + 1) % DIRECTIONS] += magnitude * share
    cells = len(grey) // CELL
    counts: Array = maps.reshape(cells, CELL, cells, CELL, DIRECTIONS).sum(axis=(1, 3))
    energy = np.pad((counts**2).sum(axis=2), 1, mode="edge")
    around = sum(energy[i : i + cells, j : j + cells] for i in range(3) for j in range(3))
    return (counts / (np.sqrt(around) + 0.5)[..., None]).ravel()


def class_prototypes(images: Iterable[Image.Image], labels: npt.NDArray[np.int64], size: int) -> Tensor:
    """Unit vectors [classes, size], float32.

    Args:
        images: the images of the training split, in order.
        labels: their classes, from 0: [n].
    """
    features = np.stack([image_features(image) for image in images])
    components = min(COMPONENTS, *features.shape)
    points = PCA(components, random_state=0).fit_transform(features)
    means = np.stack([points[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    within = points - means[labels]
    covariance = within.T @ within / len(within)
    covariance += SHRINKAGE * np.trace(covariance) / components * np.eye(components)
    variances, axes = np.linalg.eigh(covariance)
    whitened = means @ (axes / np.sqrt(variances))
    whitened -= whitened.mean(axis=0)
    _, directions = np.linalg.eigh(whitened.T @ whitened)
    prototypes = torch.from_numpy(whitened @ directions[:, ::-1][:, :size].copy()).float()
    return torch.nn.functional.normalize(prototypes, dim=1)
