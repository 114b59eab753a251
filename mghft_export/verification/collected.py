"""What is kept of a precision's runs: a few numbers a sticker, no tensors."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from mghft_export.errors import MGHFTError
from mghft_export.verification.branches import BranchOutputs
from mghft_export.verification.differences import (
    OutputDifference,
    difference,
    index_agreement,
    shared_tokens,
)


class Collected:
    """Differences by output and agreements by stage, an entry a sticker."""

    def __init__(self) -> None:
        self.differences: defaultdict[str, list[OutputDifference]] = defaultdict(list)
        self.agreements: defaultdict[str, list[float]] = defaultdict(list)
        self._classes: list[npt.NDArray[np.int64]] = []

    def add(self, precision: str, found: BranchOutputs, wanted: BranchOutputs) -> None:
        """Compare the outputs of some more stickers.

        Raises:
            MGHFTError: a logit is not a finite number.
        """
        logits = found.outputs["logits"]
        if not np.isfinite(logits).all():
            raise MGHFTError(
                f"{precision} gives logits that are not finite: its numbers overflow; use a higher precision"
            )
        self._classes.append(logits.argmax(axis=1))
        for number in range(len(logits)):
            for name, expected in wanted.outputs.items():
                pair = found.outputs[name][number], expected[number]
                stage = name.removesuffix("_tokens")
                if stage in wanted.selected:
                    chosen = found.selected[stage][number], wanted.selected[stage][number]
                    pair = shared_tokens(pair[0], chosen[0], pair[1], chosen[1])
                if pair[1].size:  # nothing where no patch is selected by both
                    self.differences[name].append(difference(name, 1, *pair))
            for stage, indices in wanted.selected.items():
                self.agreements[stage].append(index_agreement(found.selected[stage][number], indices[number]))

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """Predicted: [n]."""
        return np.concatenate(self._classes)
