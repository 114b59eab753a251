"""The interpreter: a multimodal LLM writes the four views of stickers that have no text."""
