"""Trains MGHFT: turns a recipe and a data set into checkpoints."""
