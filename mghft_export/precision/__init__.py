"""From float32 graphs to FP16 and INT8 ones: precision is a property of the ONNX file, chosen here and nowhere else."""
