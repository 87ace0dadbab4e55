"""Models of ours as one ONNX file each, which really drops tokens."""
