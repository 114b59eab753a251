"""Training MGHFT: a recipe and a data set become checkpoints."""
