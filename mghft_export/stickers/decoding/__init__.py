"""Decode files of all formats into frames. docs/stickers.md has the rule that all decoders follow, also in C++."""
