"""Models as ONNX files, one file each, that really drop tokens."""
