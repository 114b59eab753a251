"""A corpus through a model: many stickers in, parquet files out, with bounded memory, and resumable."""
