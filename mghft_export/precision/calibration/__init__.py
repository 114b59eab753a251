"""Calibration sets: folders of stickers on which INT8 ranges are found; drawn, written and read."""
