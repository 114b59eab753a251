"""Files on disk: written whole or not at all, hashed, and read as if a stranger had written them."""
