"""Options that are made of a pydantic model, and the command that is printed from one."""

from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field

from mghft_export.bench.settings import Settings
from mghft_export.bundle.build_info import BuildFlags
from mghft_export.cli.model_options import model_options
from mghft_export.option_words import option_words


class Choices(BaseModel, populate_by_name=True):
    level: int | None = Field(default=None, ge=0, le=5, description="How long.")
    share: float = Field(default=0.5, gt=0, le=1, description="How much.")
    fast: bool = Field(default=False, description="Faster.")
    graphs: bool = Field(default=True, description="With graphs.")
    kinds: tuple[Literal["a", "b"], ...] = Field(default=(), alias="kind", description="Which.")
    place: Path | None = Field(default=None, description="Where.")
    made: int = 3


def filled(model, *words):
    """What the command gets for these words."""
    got = []

    @click.command()
    @model_options(model, "chosen")
    def command(chosen):
        got.append(chosen)

    result = CliRunner().invoke(command, words)
    return got[0] if result.exit_code == 0 else result.output


def test_without_options_the_model_has_its_defaults():
    assert filled(Choices) == Choices()


def test_each_kind_of_field_is_an_option():
    words = [
        "--level",
        "3",
        "--share",
        "0.25",
        "--fast",
        "--no-graphs",
        "--kind",
        "a",
        "--kind",
        "b",
        "--place",
        "x",
    ]
    assert filled(Choices, *words) == Choices(
        level=3, share=0.25, fast=True, graphs=False, kinds=("a", "b"), place=Path("x")
    )


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--level", "6"], "0<=x<=5"),
        (["--share", "0"], "0<x<=1"),
        (["--kind", "c"], "'a', 'b'"),
        (["--made", "4"], "No such option"),
        (["--kinds", "a"], "No such option"),
    ],
)
def test_limits_and_choices_are_those_of_the_field(words, problem):
    assert problem in filled(Choices, *words)


@pytest.mark.parametrize(
    "flags",
    [
        BuildFlags(),
        BuildFlags(level=0),
        BuildFlags(level=5, tf32=True, refittable=True),
        BuildFlags(hardware_compatible="same-sm", version_compatible=True, strip_weights=True),
    ],
)
def test_the_printed_words_give_the_same_flags(flags):
    assert filled(BuildFlags, *option_words(flags)) == flags


def test_every_flag_of_the_builder_and_every_setting_of_a_benchmark_is_an_option():
    for model in (BuildFlags, Settings):
        assert all(field.description for field in model.model_fields.values())
        assert filled(model) == model()
