"""ONNX files without torch: edited, described, checked and counted."""
