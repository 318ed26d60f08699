"""What a user names as a file: files, pipes with a writer, and what is neither."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from facetool.classification.classifier_file import load_classifier
from facetool.cropping.detectors import detector_weights
from facetool.errors import FacetoolError, FormatError, UsageError
from facetool.files.input_file import open_input
from facetool.files.megaface_features import read_features
from facetool.files.recordio import RecordFile
from facetool.files.text import read_text
from facetool.images.inputs import list_photos
from facetool.images.read import read_photo
from facetool.images.sources import open_source
from facetool.images.verification_set import read_bin
from facetool.weights.load import load_network

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pytest.fixture(params=["pipe", "socket", "device"])
def no_file(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    if request.param == "device":
        return Path("/dev/null")
    path = tmp_path / request.param
    if request.param == "pipe":
        os.mkfifo(path)
    else:
        monkeypatch.chdir(tmp_path)  # a socket's name may not be long
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(request.param)
    return path


@pytest.mark.parametrize(
    "read",
    [list_photos, read_photo, read_text, read_bin, read_features, RecordFile, load_classifier],
)
def test_everybody_says_the_same_of_what_is_no_file(
    read: Callable[[Path], object], no_file: Path
) -> None:
    with pytest.raises(FacetoolError, match=r"not a file$"):
        read(no_file)


def test_archives_and_detectors_are_files(no_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="the extra cloud is not installed")
    archive = tmp_path / "faces.tar"
    archive.symlink_to(no_file)
    with pytest.raises(FormatError, match=r"not a file$"):
        open_source(str(archive)).listing()
    with pytest.raises(FormatError, match=r"not a file$"):
        detector_weights("yunet", no_file)


def test_weights_are_no_device(no_file: Path) -> None:
    with pytest.raises(UsageError, match=f"{no_file}: not a file"):
        load_network("dlib-resnet", no_file)


def test_a_pipe_is_read_while_somebody_writes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    ready = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            ready.set()
            pipe.write(b"a\n" * 100_000)

    thread = threading.Thread(target=write)
    thread.start()
    keep = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # lets the writer begin
    ready.wait()
    assert read_text(path) == "a\n" * 100_000
    os.close(keep)
    thread.join()


def test_a_folder_is_called_one(tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(IsADirectoryError):
        open_input(tmp_path)
    assert len(list(Path("/dev/fd").iterdir())) == before
