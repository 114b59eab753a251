"""Measure a model on labelled stickers, and compare two models. Start at `mghft-export eval`."""
