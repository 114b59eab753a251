"""Predictions as lines of a table. Each line is printed at once, and the table fits a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.style import Style
from rich.text import Text

from mghft_export.runtime.pipeline import Prediction
from mghft_export.terminal import visible

MOST_NAME = 30
"""Most columns of a file name on a terminal; a longer name loses its middle."""

RUNNERS_UP = 2
_HEADINGS = ("sticker", "emotion", "sure", "then")


class PredictionLines:
    """Prints a line for each sticker: its name, its emotion, the probability of that, and the next classes.

    Args:
        console: the console to print on.
        names: names of all stickers that will be printed.
        classes: classes of the model.
        every: show every class; otherwise only the next two after the emotion.
    """

    def __init__(
        self, console: Console, names: Sequence[str], classes: Sequence[str], *, every: bool
    ) -> None:
        self._console = console
        self._every = every
        most = MOST_NAME if console.is_terminal else max(map(cell_len, map(visible, names)), default=0)
        widest = [max(map(cell_len, map(visible, group)), default=0) for group in (names, classes)]
        self._name = max(min(widest[0], most), len(_HEADINGS[0]))
        self._emotion = max(widest[1], len(_HEADINGS[1]))
        room = console.width - self._name - self._emotion - len(" 100%") - 6
        self._rest = room if console.is_terminal else max(room, 30)
        self.begun = False
        """Whether a line was printed."""

    def print(self, name: str, prediction: Prediction) -> None:
        """Print one line, or as many lines as all classes need with `every`."""
        if not self.begun:
            self.begun = True
            heading = self._line(_HEADINGS[0], _HEADINGS[1], _HEADINGS[2].rjust(4), _HEADINGS[3])
            heading.stylize(Style(bold=True))
            self._put(heading)
            rule = min(self._console.width, cell_len(heading.plain) + (0 if self._every else 28))
            self._put(Text(" " + "─" * (rule - 1)))
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        others = [f"{visible(label)} {share:.0%}" for label, share in ranked if label != prediction.label]
        lines = _wrapped(others if self._every else others[:RUNNERS_UP], self._rest)
        if not self._every:
            lines = [lines[0].removesuffix(",")]
        sure = f"{prediction.probabilities[prediction.label]:.0%}".rjust(4)
        self._put(
            self._line(_shortened(visible(name), self._name), visible(prediction.label), sure, lines[0])
        )
        for line in lines[1:]:
            self._put(self._line("", "", "    ", line))

    def _line(self, name: str, emotion: str, sure: str, rest: str) -> Text:
        line = Text(" " + set_cell_size(name, self._name) + "  ")
        line.append(set_cell_size(emotion, self._emotion), style="bold")
        return line.append(f" {sure}  {rest}".rstrip())

    def _put(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    """Words separated by commas, in lines of at most this width; a wider word gets its own line."""
    lines = [""]
    for number, word in enumerate(words):
        word += "," if number < len(words) - 1 else ""
        joined = f"{lines[-1]} {word}".strip()
        if lines[-1] and cell_len(joined) > width:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def _shortened(name: str, width: int) -> str:
    """A name that loses its middle if it is too long. Its end is kept, because it has the file's extension."""
    if cell_len(name) <= width:
        return name
    head = chop_cells(name, width // 2)[0]
    tail = ""
    for character in reversed(name):
        if cell_len(head) + 1 + cell_len(character + tail) > width:
            break
        tail = character + tail
    return f"{head}…{tail}"
