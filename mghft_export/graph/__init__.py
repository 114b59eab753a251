"""Edit, describe and check ONNX files and count their arithmetic, without torch."""
