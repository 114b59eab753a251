"""From a sticker as it is in the wild to tensors: image, text views, tokens."""
