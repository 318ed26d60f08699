"""The package's weights: what joblib reads, and nothing that could run."""

import pickle
from pathlib import Path
from typing import Any

import joblib
import lz4.frame
import numpy as np
import pytest

from facetool.detection.mtcnn_networks import load_networks
from facetool.detection.mtcnn_weights import read_weights
from facetool.errors import WeightsError
from facetool.files import package_files
from facetool.files.package_files import package_file


def weights_path(name: str) -> Path:
    return package_file("mtcnn", f"assets/weights/{name}.lz4")


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_arrays_are_those_joblib_reads(name: str) -> None:
    path = weights_path(name)
    for ours, theirs in zip(read_weights(path), joblib.load(path), strict=True):
        assert ours.dtype == theirs.dtype == np.float32
        assert np.array_equal(ours, theirs)


class Opener:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
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
    whole = lz4.frame.decompress(weights_path("pnet").read_bytes())
    damaged = tmp_path / "pnet.lz4"
    for length in range(0, len(whole), 977):
        damaged.write_bytes(lz4.frame.compress(whole[:length]))
        with pytest.raises(WeightsError):
            read_weights(damaged)
    damaged.write_bytes(weights_path("pnet").read_bytes()[:5000])
    with pytest.raises(WeightsError):
        read_weights(damaged)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="do not fit"):
        load_networks([weights_path("onet")] * 3)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_files, "find_spec", lambda package: None)
    with pytest.raises(WeightsError, match="pip install mtcnn"):
        weights_path("pnet")
