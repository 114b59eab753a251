"""Turn stickers as people have them into arrays: image, text views, tokens."""
