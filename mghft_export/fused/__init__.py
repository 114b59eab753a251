"""MGHFT for inference as three branches: they compute exactly what :mod:`mghft_export.model` does, at less cost."""
