"""Fused branches to ONNX files that are checked, named and verified."""
