"""From ONNX graphs to engines of TensorRT and TensorRT-RTX: built, looked into, and checked before they are loaded."""
