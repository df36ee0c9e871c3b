"""From torch modules to ONNX graphs, written node by node: one control step, one camera frame."""
