"""MGHFT as released: trainable, with the released parameter names."""
