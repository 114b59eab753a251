"""Running a bundle: sessions of one branch, and the pipeline from stickers to emotions."""
