"""From an MGHFT checkpoint to the fastest correct thing that runs on a device.

Two paths meet in this package::

    sticker    -> stickers/ (image, views, tokens)        -> runtime/ -> emotions
    checkpoint -> model/ -> fused/ -> export/ -> bundle   -> runtime/, bench/

Nothing is imported here, so that ``import mghft_export`` stays instant and free of torch.
"""

__version__ = "0.1.0"
