"""The tables of docs/mghft-mini.md are those of the committed results."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date():
    specification = importlib.util.spec_from_file_location("mini_page", ROOT / "benchmarks" / "mini_page.py")
    page = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(page)
    text = page.PAGE.read_text(encoding="utf-8")
    assert all(page.begin(name) in text for name in ("ablation", "without text"))
    assert page.updated(text) == text, "run: python benchmarks/mini_page.py"
