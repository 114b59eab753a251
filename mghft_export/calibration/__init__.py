"""Calibration sets: the stickers from which a quantised model's ranges come; start at :mod:`.calibration_set`."""
