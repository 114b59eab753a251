"""The tables of docs/mghft-mini.md are those of the committed results."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCHMARKS))
    import mini_page


def test_the_page_is_up_to_date():
    text = mini_page.PAGE.read_text(encoding="utf-8")
    assert all(mini_page.begin(name) in text for name in ("ablation", "without text"))
    assert mini_page.updated(text) == text, "run: python benchmarks/mini_page.py"
