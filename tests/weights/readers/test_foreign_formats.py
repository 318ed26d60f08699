"""Each format that cannot be read is told apart, and the line says what to do."""

import pickle
import zipfile
from pathlib import Path

import pytest

from facetool.errors import FormatError
from facetool.weights.load import read_network


def refusal(path: Path) -> str:
    with pytest.raises(FormatError) as caught:
        read_network(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "content", "kind", "advice"),
    [
        ("facenet_keras.h5", b"\x89HDF\r\n\x1a\n\0\0", "Keras", "tf2onnx.convert --keras"),
        ("renamed.onnx", b"\x89HDF\r\n\x1a\n\0\0", "Keras", "tf2onnx.convert --keras"),
        ("net.tflite", b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite", "--tflite"),
        ("20180402-114759.pb", b"\x0a\x11\x0a\x05input", "TensorFlow graph", "--graphdef"),
        ("saved_model.pb", b"\x08\x01\x12", "SavedModel", "--saved-model"),
        ("VGG_FACE.caffemodel", b"\x0a\x0eVGG", "Caffe", "caffe2onnx"),
        ("deploy.prototxt", b'name: "VGG"\n', "Caffe", "caffe2onnx"),
        ("net.param", b"7767517\n75 83\n", "ncnn", "such as .onnx"),
        ("net.rknn", b"RKNN\0\0\0\0", "Rockchip", "such as .onnx"),
        ("net.engine", b"ftrt\0\0", "TensorRT", "such as .onnx"),
        ("vgg-face.mat", b"MATLAB 5.0 MAT-file", "MATLAB", ".pth"),
        ("weights.npy", b"\x93NUMPY\x01\0", "NumPy", ".pth"),
        ("model.params.gz", b"\x1f\x8b\x08\0", "gzip", "unpack"),
        ("model.pkl", pickle.dumps({"a": [1, 2]}), "Python pickle", "state_dict()"),
        ("model.pth", pickle.dumps({"a": [1, 2]}), "Python pickle", "state_dict()"),
    ],
)
def test_formats(name: str, content: bytes, kind: str, advice: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(path)
    assert kind in message and advice in message


def test_a_pack_of_networks_is_to_be_unzipped(tmp_path: Path) -> None:
    path = tmp_path / "buffalo_l.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("buffalo_l/w600k_r50.onnx", b"x")
        archive.writestr("buffalo_l/det_10g.onnx", b"x")
    assert "w600k_r50.onnx" in (message := refusal(path)) and "unzip" in message


def test_a_keras_3_file_is_a_zip_file_of_its_own_kind(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", b"{}")
        archive.writestr("model.weights.h5", b"x")
    assert "Keras" in refusal(tmp_path / "net.keras")


def test_weights_that_lie_beside_their_description(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0" * 9)
    (tmp_path / "a.param").write_text("7767517\n")
    assert "ncnn" in refusal(tmp_path / "a.bin")
    (tmp_path / "b.bin").write_bytes(b"\0" * 9)
    (tmp_path / "b.xml").write_text("<net/>")
    assert "give the .xml" in refusal(tmp_path / "b.bin")
