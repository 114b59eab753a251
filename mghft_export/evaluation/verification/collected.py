"""What is kept of a precision's runs: a few numbers per sticker, and no tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mghft_export.bundle.verifications import OutputDifference
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.differences import (
    difference,
    index_agreement,
    shared_tokens,
)
from mghft_export.evaluation.verification.observed_branches import BranchOutputs
from mghft_export.runtime.pipeline import FloatArray


class Collected:
    """Differences by output and agreements by stage, one entry per sticker; logits of whole runs and of branches."""

    def __init__(self) -> None:
        self.differences: defaultdict[str, list[OutputDifference]] = defaultdict(list)
        self.agreements: defaultdict[str, list[float]] = defaultdict(list)
        self._logits: list[FloatArray] = []
        self._alone: defaultdict[str, list[FloatArray]] = defaultdict(list)

    def add(
        self, precision: str, found: BranchOutputs, wanted: BranchOutputs, alone: Mapping[str, FloatArray]
    ) -> None:
        """Add stickers, and compare their outputs.

        Args:
            alone: logits by branch, from :func:`~mghft_export.evaluation.verification.neutral_inputs.branches_alone`.

        Raises:
            MGHFTError: a logit is not a finite number.
        """
        logits = np.asarray(found.outputs["logits"], np.float32)
        if not all(np.isfinite(values).all() for values in (logits, *alone.values())):
            raise MGHFTError(
                f"{precision} gives logits that are not finite: its numbers overflow; use a higher precision"
            )
        self._logits.append(logits)
        for branch, values in alone.items():
            self._alone[branch].append(values)
        for number in range(len(logits)):
            for name, expected in wanted.outputs.items():
                pair = found.outputs[name][number], expected[number]
                stage = name.removesuffix("_tokens")
                if stage in wanted.selected:
                    chosen = found.selected[stage][number], wanted.selected[stage][number]
                    pair = shared_tokens(pair[0], chosen[0], pair[1], chosen[1])
                if pair[1].size:  # empty if both select no common patch
                    self.differences[name].append(difference(name, 1, *pair))
            for stage, indices in wanted.selected.items():
                self.agreements[stage].append(index_agreement(found.selected[stage][number], indices[number]))

    @property
    def logits(self) -> FloatArray:
        """Logits of the whole precision: [n, classes]."""
        return np.concatenate(self._logits)

    @property
    def classes(self) -> npt.NDArray[np.intp]:
        """Predicted classes: [n]."""
        classes: npt.NDArray[np.intp] = self.logits.argmax(axis=1)
        return classes

    def alone(self, branch: str) -> FloatArray:
        """Logits if only this branch runs in the precision: [n, classes]."""
        return np.concatenate(self._alone[branch])
