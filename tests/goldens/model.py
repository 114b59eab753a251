"""A model with the weights of the goldens' formula."""

from __future__ import annotations

import numpy as np
import torch
from goldens.formula import golden_tensor

from mghft_export.config import MGHFTConfig
from mghft_export.model.mghft import MGHFT


def formula_model(config: MGHFTConfig) -> MGHFT:
    """Freshly initialised attention is nearly uniform, so that rounding alone would reorder its selection."""
    model = MGHFT(config)
    state = {
        name: torch.from_numpy(np.asarray(golden_tensor(name, tuple(value.shape))))
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval()
