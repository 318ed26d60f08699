"""Verification sets against those that InsightFace's tools wrote, and against hostile pickles."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.errors import FormatError
from facetool.images.verification_set import read_bin, write_bin

BYTE_FORMS = ("py2_str_proto0", "py2_str_proto2", "py3_bytes_proto2", "py3_bytes_proto4")
ARRAY_FORMS = ("py3_numpy_proto4", "py3_numpyNx1_proto4")


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "mxnet" / "records" / "bin"


@pytest.mark.parametrize("form", BYTE_FORMS)
def test_pixels_are_those_of_insightface(golden: Path, form: str) -> None:
    found = read_bin(golden / f"{form}.bin")
    pixels = np.stack([found.read(n).transpose(2, 0, 1) for n in range(len(found.images))])
    with np.load(golden / "load_bin_expected_uint8_first20.npz") as expected:
        assert (pixels[:20] == expected["data"]).all()
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == str(expected["sha256_all"])
    assert found.name == form


@pytest.mark.parametrize("form", ARRAY_FORMS)
def test_arrays(golden: Path, form: str) -> None:
    found, plain = read_bin(golden / f"{form}.bin"), read_bin(golden / "py3_bytes_proto4.bin")
    assert (found.same == plain.same).all()
    # They were encoded once more, by OpenCV.
    for number in range(20):
        difference = found.read(number).astype(int) - plain.read(number)
        assert abs(difference).mean() < 3


def test_flags_come_in_order(golden: Path) -> None:
    expected = [flag for _ in range(10) for flag in [True] * 3 + [False] * 3]
    for form in BYTE_FORMS + ARRAY_FORMS:
        assert read_bin(golden / f"{form}.bin").same.tolist() == expected


def test_writing_gives_the_same_file(golden: Path) -> None:
    found = read_bin(golden / "py3_bytes_proto4.bin")
    file = io.BytesIO()
    write_bin(file, found.images, found.same.tolist())
    assert file.getvalue() == (golden / "py3_bytes_proto4.bin").read_bytes()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("executed",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"not a pickle",
        pickle.dumps((Evil(), [True])),
        pickle.dumps(([b"a"], [True])),
        pickle.dumps(([b"a", b"b"], [2])),
        pickle.dumps(([b"a", b"b"], ["x"])),
        pickle.dumps(([1, 2], [True])),
        pickle.dumps(([], [])),
        pickle.dumps({"a": 1}),
        pickle.dumps(([np.zeros(3), np.zeros(3)], [True])),
        pickle.dumps(([np.zeros(3, "u2"), np.zeros(3, "u2")], [True]), 4),
        pickle.dumps(([np.zeros(3, "i1"), np.zeros(3, "i1")], [True]), 4),
        b"\x80\x02r\xff\xff\xff\x7f.",  # an object memoized far away
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x00.",  # a bytearray larger than any memory
        b"\x80\x04\x95" + b"\xff" * 8 + b".",  # a frame, likewise
        b"cnumpy.core.multiarray\n_reconstruct\n(S'__doc__'\nS'x'\ndb.",  # state for a function
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c_codecs\nencode\n(S'rot13'\nS'rot13'\ntR.",
    ],
)
def test_other_pickles_are_refused(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.bin") as caught:
        read_bin(path)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_one_text_cannot_be_encoded_without_end(tmp_path: Path) -> None:
    text = "x" * 1000
    one = b"h\x00h\x01\x8c\x06latin1\x86R"  # encode the memoized text once more
    content = b"\x80\x04c_codecs\nencode\n\x94X\xe8\x03\x00\x00" + text.encode() + b"\x94"
    path = tmp_path / "a.bin"
    path.write_bytes(content + one * 10_000 + b"N.")
    with pytest.raises(FormatError, match="not the bytes of an image"):
        read_bin(path)


def test_array_shorter_than_its_shape(golden: Path, tmp_path: Path) -> None:
    content = (golden / "py3_numpy_proto4.bin").read_bytes()
    size = content.index(b"K\x01M") + 2  # version 1, then the shape, a two-byte number
    path = tmp_path / "a.bin"
    path.write_bytes(content[: size + 1] + b"\xff\xff" + content[size + 3 :])
    with pytest.raises(FormatError, match="an array of"):
        read_bin(path)
