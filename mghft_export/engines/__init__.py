"""Engines of TensorRT and TensorRT-RTX: built from ONNX graphs, inspected, and checked before they are loaded."""
