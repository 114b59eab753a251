"""How much work a client's image may be."""

SERVED_PIXELS = 2**26
"""Most pixels that are decoded for one image, with all frames before the chosen one: a second or so, and 256 MiB.
Stickers need far fewer; a file of a few kilobytes can ask for more (:mod:`mghft_export.stickers.image`)."""
