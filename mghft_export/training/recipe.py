"""A recipe: everything about a training that is not the data, read from TOML and overridable value by value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found]

Inputs = Literal["both", "image", "text"]


class Recipe(BaseModel):
    """The defaults are the released recipe (two GPUs with 16 stickers each)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Literal["paper", "mini"] = "paper"
    model: dict[str, Any] = Field(default_factory=dict)
    """Fields of the model's configuration that differ from the preset's."""
    text_weights: str | None = None
    """`minilm` (the installed package), a folder, a `.safetensors` file or a hub name."""
    tune_text: bool = False
    standardize_text: bool = False
    """Start `l_proj` so that it sees frozen text features with mean 0 and deviation 1 over the training split."""
    imagenet: Path | None = None
    """PVT-small's ImageNet weights to start the pyramid from."""
    pretrained: Path | None = None
    """A checkpoint to start from, of the same model with other classes; its head and text projection are not loaded."""
    freeze_pyramid: bool = False
    """Do not train the layers that compute the image's tokens, only their projections and the rest of the model. A
    pyramid that memorises the images of a few characters forgets what it knew about others."""

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(16, ge=2)
    """Stickers per process and step."""
    accumulate: int = Field(1, ge=1)
    """Steps to accumulate gradients over; the alignment loss compares the stickers of one step, of all processes."""
    optimizer: str = "adamw"
    base_lr: float = Field(1e-3, gt=0)
    """Learning rate for a global batch of 512. It is scaled with the batch: keep it when you change the batch size."""
    min_lr: float = Field(1e-5, ge=0)
    range_lr: float = Field(1e-3, gt=0)
    """Learning rate for the logarithms of the ranges that `--qat` learns; it is not scaled."""
    warmup_epochs: int = Field(5, ge=0)
    warmup_lr: float = Field(1e-5, ge=0)
    weight_decay: float = Field(0.05, ge=0)
    clip_grad: float | None = Field(None, gt=0)
    label_smoothing: float = Field(0.2, ge=0, lt=1)
    alignment_weight: float = Field(0.5, ge=0)
    no_text_weight: float = Field(0.0, ge=0)
    """Weight of the cross entropy of the same stickers without their texts; needs `model.no_text`."""
    blank_image_weight: float = Field(0.0, ge=0)
    """Weight of the cross entropy of the same stickers with a blank image."""
    attention_variance_weight: float = Field(0.0, ge=0)
    """Weight of the variance of the pyramid's attention logits. It keeps the attention soft: where one token gets
    nearly all of it, rounding decides which others the re-attention selects."""
    prototypes: int = Field(0, ge=0)
    """Dimensions of the fixed class directions that the head learns to point at (`training/prototypes.py`). With 0, the
    head has one logit per class."""
    balanced: bool = False
    """Weigh each class by how rare it is, so that all classes count alike."""
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    compile: bool = False
    seed: int = 0
    deterministic: bool = False
    """Make PyTorch refuse algorithms that give different results from run to run."""

    auto_augment: str | None = "rand-m9-mstd0.5-inc1"
    color_jitter: float = Field(0.1, ge=0)
    crop_scale: tuple[float, float] = (0.08, 1.0)
    """Share of the image's area that a random crop keeps (timm's default)."""
    flip: float = Field(0.5, ge=0, le=1)
    background: str = "white"
    line_art: float = Field(0.0, ge=0, le=1)
    """Share of the training images that are turned into line art."""
    image_dropout: float = Field(0.0, ge=0, lt=1)
    text_dropout: float = Field(0.0, ge=0, lt=1)
    """Shares of the training stickers that get zeros as image or as text features, where the model gets both inputs."""
    single_view: float = Field(0.0, ge=0, le=1)
    """Share of the training stickers that get one view of their text; each epoch draws other stickers and views."""
    wrong_image: float = Field(0.0, ge=0, lt=1)
    """Share of the training stickers with whole texts that get another sticker's image. Their label stays that of the
    text. So a model that has memorised the training images learns to trust a whole text more."""
    inputs: Inputs = "both"
    """The inputs that the model gets; the other one is blank, in training and in evaluation."""

    topics: list[str] = Field(default_factory=list)
    """Packs (styles) to train and select on; empty means all."""
    train_split: str = "train"
    val_split: str = "val"
    workers: int = Field(0, ge=0)
    cache_pixels: int = Field(0, ge=0)
    """Cache decoded images in memory, scaled down to this shorter side in pixels; 0 decodes them each time."""
    early_stop: int = Field(0, ge=0)
    """Training stops after this many epochs without a better validation metric; 0 never stops early."""
    metric: Literal["macro_f1", "accuracy", "mean_macro_f1"] = "macro_f1"
    """The metric on the validation split that chooses the best checkpoint. `mean_macro_f1` is the mean over whole
    texts, single views and no texts, or over those of them that the recipe trains on."""
    save_every: int = Field(1, ge=1)
    """Epochs between two saved states; the last epoch is always saved."""
    half_checkpoints: bool = False
    """Store checkpoints in float16."""

    def build_config(self, classes: int) -> MGHFTConfig:
        """The model's configuration for a data set with this many classes."""
        classes = self.prototypes or classes
        preset = MGHFTConfig.mini() if self.preset == "mini" else MGHFTConfig.paper()
        return MGHFTConfig.from_dict({**preset.to_dict(), "num_classes": classes, **self.model})


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = Path(str(resources.files("mghft_export") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        source: the name of a shipped recipe, or a TOML file.
        overrides: `key=value` with a TOML value; a bare word is a string; `model.` reaches into the model's table.

    Raises:
        MGHFTError: the recipe does not exist, is damaged TOML, has an unknown key or a value out of range.
    """
    path = shipped_recipes().get(source, Path(source))
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MGHFTError(
            f"there is no recipe {source!r}; choose from {', '.join(shipped_recipes())} or give a TOML file"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise MGHFTError(f"{path} is not TOML ({error}); correct it") from error
    for override in overrides:
        _apply(values, override)
    return parse_recipe(values, str(path))


def parse_recipe(values: dict[str, Any], source: str) -> Recipe:
    """Check the values of a recipe.

    Raises:
        MGHFTError: a key is unknown or a value is out of range; the message names the first one.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise MGHFTError(
                f"{source} has an unknown key {key!r}; known are {', '.join(Recipe.model_fields)}"
            ) from error
        raise MGHFTError(f"{source}: {key} does not work: {first['msg']}; correct it") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise MGHFTError(f"--set {override!r} is not key=value, as in --set epochs=10; correct it")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, name = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise MGHFTError(f"--set {override!r}: {table} is no table; give {table}=value")
    values[name] = value
