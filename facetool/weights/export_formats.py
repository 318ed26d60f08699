"""The formats that networks are exported to. Light: nothing is loaded to name them."""

ONNX, OPENVINO = "onnx", "openvino"

EXPORT_SUFFIXES = {ONNX: ".onnx", OPENVINO: ".xml"}
"""What a file of each format is called."""
