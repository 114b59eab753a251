"""How good a model is on labelled stickers, and where two models differ; start at `mghft-export eval`."""
