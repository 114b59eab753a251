"""Writes src/unicode_tables.inc: what `tokenizers` does to each code point, asked of `tokenizers` itself.

No Unicode library does the same: `tokenizers` has punctuation, marks and controls of Unicode 8, decompositions of
Unicode 9 to 12 and lower case of the newest Unicode.

    python cpp/unicode_tables.py
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import tokenizers
from tokenizers import normalizers, pre_tokenizers

OUTPUT = Path(__file__).parent / "src" / "unicode_tables.inc"
CODE_POINTS = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)
"""Decomposed by arithmetic."""
IOTA_SUBSCRIPT = "\u0345"
"""The mark of the highest combining class, 240."""
Row = tuple["int | Row", ...]
"""A value of a C++ struct, whose fields may be arrays."""

ACUTE = "\u0301"
"""A mark of class 230."""


def bert(**steps: bool) -> normalizers.BertNormalizer:
    """BERT's normaliser with only some of its steps."""
    none = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**{**none, **steps})


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbours."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return [(first, last) for first, last in found]


def lower_runs(pairs: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """First, last, step and distance of code points with the same distance to their lower case."""
    runs: list[list[int]] = []
    for code, lower in pairs:
        distance = lower - code
        if runs and runs[-1][3] == distance:
            step = code - runs[-1][1]
            if step in (1, 2) and runs[-1][2] in (0, step):
                runs[-1][1], runs[-1][2] = code, step
                continue
        runs.append([code, code, 0, distance])
    return [(first, last, step or 1, distance) for first, last, step, distance in runs]


def combining_classes() -> list[tuple[int, int]]:
    """Code points whose order among marks is not fixed, with their class; found by how marks change places."""
    decompose = normalizers.NFD().normalize_str
    marks = {}  # one of each class
    for code in CODE_POINTS:
        order, mark = unicodedata.combining(chr(code)), chr(code)
        moves = decompose(IOTA_SUBSCRIPT + mark) != IOTA_SUBSCRIPT + mark or mark == IOTA_SUBSCRIPT
        if order and moves and decompose(mark) == mark:
            marks.setdefault(order, mark)
    found = []
    for code in CODE_POINTS:
        mark = chr(code)
        if decompose(mark) != mark:
            continue
        moves = decompose(IOTA_SUBSCRIPT + mark) != IOTA_SUBSCRIPT + mark
        if not moves and decompose(mark + ACUTE) == mark + ACUTE:
            continue
        same = [
            order
            for order, other in marks.items()
            if decompose(mark + other) == mark + other and decompose(other + mark) == other + mark
        ]
        assert len(same) == 1, hex(code)
        found.append((code, same[0]))
    return found


def table(kind: str, name: str, rows: Iterable[Row]) -> str:
    """One C++ array."""
    cells = [_braced(row) for row in rows]
    lines, line = [], "   "
    for cell in cells:
        if len(line) + len(cell) > 108:
            lines.append(line)
            line = "   "
        line += f" {cell},"
    return "\n".join([f"constexpr {kind} {name}[] = {{", *lines, line, "};"])


def _braced(value: int | Row) -> str:
    if isinstance(value, tuple):
        return "{" + ", ".join(map(_braced, value)) + "}"
    return f"{value:#x}" if value >= 0 else str(value)


def main() -> None:
    clean, strip, split = bert(clean_text=True), bert(strip_accents=True), pre_tokenizers.BertPreTokenizer()
    chinese = bert(handle_chinese_chars=True)
    lower, decompose = normalizers.Lowercase(), normalizers.NFD()
    removed, spaces, marks, punctuation, ideographs, lowered, decomposed = [], [], [], [], [], [], []
    for code in CODE_POINTS:
        character = chr(code)
        cleaned = clean.normalize_str(character)
        if not cleaned:
            removed.append(code)
        elif cleaned == " ":
            spaces.append(code)
        if not strip.normalize_str(character):
            marks.append(code)
        if len(split.pre_tokenize_str(f"a{character}b")) == 3:
            punctuation.append(code)
        if chinese.normalize_str(character) != character:
            ideographs.append(code)
        small = lower.normalize_str(character)
        if small != character and len(small) == 1:
            lowered.append((code, ord(small)))
        assert (
            len(small) == 1 or character == "\u0130"
        )  # whose dot goes with the accents, or is written in C++
        parts = decompose.normalize_str(character)
        if parts != character and code not in HANGUL:
            assert len(parts) <= 4
            decomposed.append((code, (*map(ord, parts), *([0] * (4 - len(parts))))))
    text = [
        f"// Made by cpp/unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.",
        table("Range", "kRemoved", ranges(removed)),
        table("Range", "kSpaces", ranges(spaces)),
        table("Range", "kMarks", ranges(marks)),
        table("Range", "kPunctuation", ranges(punctuation)),
        table("Range", "kIdeographs", ranges(ideographs)),
        # Python's own, for the markers of views, which Python finds with a regular expression.
        table("Range", "kWordCharacters", ranges(code for code in CODE_POINTS if chr(code).isalnum())),
        table("LowerRun", "kLower", lower_runs(lowered)),
        table("Decomposition", "kDecompositions", decomposed),
        table("CombiningClass", "kCombiningClasses", combining_classes()),
    ]
    OUTPUT.write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
