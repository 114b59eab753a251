"""The table of what every decoder makes of the awkward files: pixels on white, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

Case = dict[str, Any]


def load_cases() -> list[Case]:
    """Each with ``file``, perhaps ``frame``, and ``size`` and ``pixels`` or ``error``."""
    cases: list[Case] = json.loads(Path(__file__).with_name("cases.json").read_text())
    return cases


def case_name(case: Case) -> str:
    return f"{case['file']} {case.get('frame', '')}".strip()


def difference(case: Case, path: Path, found: np.ndarray | str) -> str | None:
    """What is wrong with what was found, [H, W, 3] or a sentence; nothing where it is right."""
    if "error" in case or isinstance(found, str):
        wanted = case["error"].replace("FILE", str(path)) if "error" in case else f"{case['size']}"
        return None if isinstance(found, str) and found == wanted else f"{found!r} where {wanted!r} is right"
    if list(found.shape[1::-1]) != case["size"]:
        return f"{found.shape[1::-1]} where {case['size']} is right"
    within = case.get("within", 0)
    for x, y, colour in case["pixels"]:
        if np.abs(found[y, x].astype(int) - colour).max() > within:
            return f"{found[y, x].tolist()} at {x}, {y} where {colour} is right"
    return None
