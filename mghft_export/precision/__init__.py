"""Convert float32 graphs to FP16 and INT8 ones. Choose precision at export, not at build."""
