"""A bundle's graphs, run by ONNX Runtime or TensorRT."""
