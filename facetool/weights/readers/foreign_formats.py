"""Files that hold networks and cannot be read: what they are, and how to get one that can.

They are told by their first bytes; the few formats that have no mark of their own, by name.
"""

from __future__ import annotations

from pathlib import Path

from facetool.errors import FormatError

WEIGHTS_HEAD_BYTES = 64
"""Bytes that are enough to tell."""

SAVE = "torch.save(network.state_dict(), 'weights.pt')"
"""What makes a file that can be read, in the program that has a PyTorch network."""

_FROM_TENSORFLOW = "python -m tf2onnx.convert"
KERAS = f"export it to ONNX: {_FROM_TENSORFLOW} --keras FILE --output network.onnx"
_TFLITE = f"export it to ONNX: {_FROM_TENSORFLOW} --tflite FILE --output network.onnx"
_GRAPH_DEF = (
    f"export it to ONNX: {_FROM_TENSORFLOW} --graphdef FILE --inputs NAME:0 --outputs NAME:0 "
    "--output network.onnx"
)
_SAVED_MODEL = f"export it to ONNX: {_FROM_TENSORFLOW} --saved-model FOLDER --output network.onnx"
_SOURCE = "give the file it was made from, such as .onnx, .pth or .params"
_UNPACK = "unpack it and give the file with the weights"
_CAFFE = "convert it to ONNX: python -m caffe2onnx.convert --prototxt FILE --caffemodel FILE"
_PICKLE = f"reading it would run a program; in the program that made it: {SAVE}"

_MARKS: list[tuple[int, bytes, str, str]] = [
    (0, b"\x89HDF\r\n\x1a\n", "a Keras model (HDF5)", KERAS),
    (4, b"TFL3", "a TensorFlow Lite network", _TFLITE),
    (0, b"RKNN", "a Rockchip network (RKNN)", _SOURCE),
    (0, b"ptrt", "a TensorRT engine", _SOURCE),
    (0, b"ftrt", "a TensorRT engine", _SOURCE),
    (0, b"7767517", "an ncnn network (.param and .bin)", _SOURCE),
    (0, b"MATLAB 5.0", "a MATLAB file", "give the network in another form, such as .t7 or .pth"),
    (0, b"\x93NUMPY", "a NumPy array", "give the weights as .pth, .onnx or .safetensors"),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", "unpack it with bunzip2 and give the file inside"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
]
"""Offset, bytes, what the file is, what to do."""

_NAMES: dict[str, tuple[str, str]] = {
    ".pb": ("a TensorFlow graph", _GRAPH_DEF),
    ".caffemodel": ("a Caffe network", _CAFFE),
    ".prototxt": ("the description of a Caffe network", _CAFFE),
    ".mnn": ("an MNN network", _SOURCE),
    ".mlmodel": ("a Core ML network", _SOURCE),
    ".pdmodel": (
        "a Paddle network",
        "export it: paddle2onnx --model_dir FOLDER --save_file network.onnx",
    ),
    ".pdparams": (
        "the weights of a Paddle network",
        "export it: paddle2onnx --model_dir FOLDER --save_file network.onnx",
    ),
    ".engine": ("a TensorRT engine", _SOURCE),
    ".pkl": ("a Python pickle", _PICKLE),
    ".pickle": ("a Python pickle", _PICKLE),
}
"""By suffix, what has no mark, or none that nothing else has."""


def refuse_foreign(path: Path, head: bytes) -> None:
    """Nothing, or the reason why a file cannot be read, of one that PyTorch did not write.

    Args:
        path: the file.
        head: its first ``WEIGHTS_HEAD_BYTES`` bytes, or all it has.

    Raises:
        FormatError: it is of a format that is known not to be readable.
    """
    for offset, mark, kind, advice in _MARKS:
        if head.startswith(mark, offset):
            raise FormatError(f"{path} is {kind}, which cannot be read; {advice}")
    suffix = path.suffix.lower()
    if suffix in _NAMES:
        kind, advice = _NAMES[suffix]
        if path.name == "saved_model.pb":
            kind, advice = "a TensorFlow SavedModel", _SAVED_MODEL
        raise FormatError(f"{path} is {kind}, which cannot be read; {advice}")
    if _is_pickle(head):
        raise FormatError(f"{path} is a Python pickle, which cannot be read; {_PICKLE}")
    if suffix == ".bin" and path.with_suffix(".param").is_file():
        raise FormatError(f"{path} is an ncnn network, which cannot be read; {_SOURCE}")
    if suffix == ".bin" and path.with_suffix(".xml").is_file():
        raise FormatError(f"{path} holds the weights of an OpenVINO network; give the .xml file")


def _is_pickle(head: bytes) -> bool:
    """Protocol 2 to 5, which names itself."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5
