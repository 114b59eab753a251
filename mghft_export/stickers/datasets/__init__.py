"""Data sets: one reader for each layout, one check for all. Start at :mod:`mghft_export.stickers.dataset`."""
