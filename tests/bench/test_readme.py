"""The README's numbers are those of the committed results."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_performance_section_is_up_to_date():
    specification = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    readme = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(readme)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.BEGIN in text
    assert readme.updated(text) == text, "run: python benchmarks/readme.py"
    assert readme.latency_picture() == readme.PICTURE.read_text(encoding="utf-8"), (
        "run: python benchmarks/readme.py"
    )
