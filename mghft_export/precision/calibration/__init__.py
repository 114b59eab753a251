"""Draw, write and read calibration sets: folders of stickers from which INT8 ranges are found."""
