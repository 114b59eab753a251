"""Data sets: one reader a layout, one check for all; start at :mod:`mghft_export.stickers.dataset`."""
