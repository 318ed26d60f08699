import math
from collections.abc import Iterator
from pathlib import Path

import dlib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facetool.errors import FacetoolError, FormatError
from facetool.files.dlib_files import FACE_RECOGNITION_RESNET, FIVE_POINTS, dlib_model_path
from facetool.files.dlib_reader import LONGEST_NAME, DlibReader
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.readers import dlib_dat
from facetool.weights.readers.dlib_dat import load

MODEL = dlib_model_path(FACE_RECOGNITION_RESNET)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load(MODEL)


@pytest.fixture(scope="module")
def original() -> dlib.face_recognition_model_v1:
    return dlib.face_recognition_model_v1(str(MODEL))


def reader(folder: Path, *values: int) -> DlibReader:
    path = folder / "values.dat"
    path.write_bytes(bytes(values))
    return DlibReader(path, "this network")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0x01, 0x00), 0),
        ((0x01, 0xFF), 255),
        ((0x02, 0x80, 0x12), 4736),
        ((0x81, 0x1C), -28),
        ((0x81, 0x00), 0),
        ((0x88, 0, 0, 0, 0, 0, 0, 0, 0x80), -(2**63)),
        ((0x08, *[0xFF] * 8), 2**64 - 1),
    ],
)
def test_integers(tmp_path: Path, values: tuple[int, ...], expected: int) -> None:
    source = reader(tmp_path, *values)
    assert source.integer() == expected
    assert source.remaining == 0


@pytest.mark.parametrize(
    "values", [(0x00, 0x00), (0x09, *[1] * 9), (0x11, 0x01), (0x02, 0x01), (0x81,)]
)
def test_not_an_integer(tmp_path: Path, values: tuple[int, ...]) -> None:
    with pytest.raises(FormatError):
        reader(tmp_path, *values).integer()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0x01, 0x00, 0x01, 0x0B), 0.0),
        ((0x01, 0x10, 0x81, 0x04), 1.0),
        ((0x81, 0x03, 0x81, 0x02), -0.75),
        ((0x03, 0x0A, 0xD7, 0xA3, 0x81, 0x1C), float(np.float32(0.04))),
        ((0x01, 0x01, 0x82, 0x32, 0x04), 2.0**-1074),
        ((0x01, 0x01, 0x82, 0x33, 0x04), 0.0),
        ((0x01, 0x00, 0x02, 0x00, 0x7D), math.inf),
        ((0x01, 0x00, 0x02, 0x01, 0x7D), -math.inf),
        ((0x01, 0x00, 0x02, 0x02, 0x7D), math.nan),
    ],
)
def test_numbers(tmp_path: Path, values: tuple[int, ...], expected: float) -> None:
    source = reader(tmp_path, *values)
    assert source.number() == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    assert source.remaining == 0


@pytest.mark.parametrize("exponent", [(0x02, 0x00, 0x10), (0x08, *[0xFF] * 8)])
def test_number_out_of_range(tmp_path: Path, exponent: tuple[int, ...]) -> None:
    with pytest.raises(FormatError, match="out of range"):
        reader(tmp_path, 0x01, 0x01, *exponent).number()


def test_booleans_are_characters(tmp_path: Path) -> None:
    source = reader(tmp_path, *b"10\x01")
    assert source.boolean() is True
    assert source.boolean() is False
    with pytest.raises(FormatError, match="boolean"):
        source.boolean()


def test_tensor(tmp_path: Path) -> None:
    values = np.array([1.5, -2, np.inf], "<f4")
    header = (0x01, 0x02, 0x01, 0x03, *[0x01, 0x01] * 3)
    np.testing.assert_array_equal(reader(tmp_path, *header, *values.tobytes()).tensor(), values)


def test_announced_sizes_are_checked_first(tmp_path: Path) -> None:
    large = (0x08, *[0xFF] * 7, 0x7F)
    with pytest.raises(FormatError, match="announced"):
        reader(tmp_path, 0x01, 0x02, *large * 4, 0).tensor()
    with pytest.raises(FormatError, match="shape"):
        reader(tmp_path, 0x01, 0x02, *(0x81, 0x01) * 4, 0).tensor()
    with pytest.raises(FormatError, match="name"):
        reader(tmp_path, *large, 0).name()
    with pytest.raises(FormatError, match="version"):
        reader(tmp_path, 0x01, 0x01, *(0x01, 0x00) * 4).tensor()


def difference(
    network: EmbeddingNetwork,
    original: dlib.face_recognition_model_v1,
    chips: list[NDArray[np.uint8]],
) -> float:
    """Largest L2 distance between dlib's embedding of a chip and ours."""
    expected = np.array([original.compute_face_descriptor(chip) for chip in chips])
    batch = torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        ours = network(batch).double().numpy()
    return float(np.linalg.norm(ours - expected, axis=1).max())


@pytest.mark.slow
def test_equals_dlib_on_drawn_chips(
    network: EmbeddingNetwork, original: dlib.face_recognition_model_v1
) -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:150, :150]
    waves = [128 + 127 * np.sin(x / a + y / b) for a, b in ((9, 31), (40, -12), (17, 5))]
    chips = [
        random.integers(0, 256, (150, 150, 3), np.uint8),
        np.stack(waves, axis=2).astype(np.uint8),
        np.zeros((150, 150, 3), np.uint8),
        np.full((150, 150, 3), 255, np.uint8),
    ]
    assert difference(network, original, chips) < 1e-5


@pytest.mark.slow
def test_equals_dlib_on_photos(
    network: EmbeddingNetwork, original: dlib.face_recognition_model_v1, shared: Path
) -> None:
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(dlib_model_path(FIVE_POINTS)))
    chips = []
    for path in sorted(shared.glob("photos/lfw-colour/*/*_0001.jpg")):
        photo = dlib.load_rgb_image(str(path))
        for box in detector(photo, 1):
            chips.append(dlib.get_face_chip(photo, predictor(photo, box), 150, 0.25))
    assert len(chips) >= 10
    assert difference(network, original, chips) < 1e-5


def test_knows_what_it_is(network: EmbeddingNetwork) -> None:
    assert network.info.architecture == "dlib-resnet"
    assert network.info.embedding_size == 128
    assert network.recipe.crop.method == "chip"
    assert not network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", [FIVE_POINTS, "mmod_human_face_detector.dat"])
def test_other_dlib_models_are_refused(name: str) -> None:
    with pytest.raises(FormatError, match=name):
        load(dlib_model_path(name))


def test_an_affine_layer_of_another_width_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MODEL.read_bytes()
    ends = []
    alias = DlibReader.alias

    def noted(self: DlibReader) -> tuple[int, ...]:
        shape = alias(self)
        ends.append((shape, len(data) - self.remaining))
        return shape

    monkeypatch.setattr(DlibReader, "alias", noted)
    load(MODEL)
    shape, end = ends[2]  # the first layer's filters and biases come before
    assert shape == (1, 32, 1, 1)
    width = end - 6  # 1, 32, 1, 1: a length and a byte each
    assert data[width : width + 2] == bytes([1, 32])
    path = tmp_path / "narrow.dat"
    path.write_bytes(data[: width + 1] + bytes([31]) + data[width + 2 :])
    with pytest.raises(FormatError, match=r"shape of the scales is \(1, 31, 1, 1\)") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_trailing_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "longer.dat"
    path.write_bytes(MODEL.read_bytes() + b"\0")
    with pytest.raises(FormatError, match="1 bytes follow"):
        load(path)


@pytest.fixture(scope="module")
def structure() -> list[int]:
    """Every position in the model file that is not inside a tensor's values."""
    positions: list[int] = []

    class Recorder(DlibReader):
        def take(self, count: int) -> memoryview:
            if count <= LONGEST_NAME:
                positions.extend(range(self.position, self.position + count))
            return super().take(count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dlib_dat, "DlibReader", Recorder)
        load(MODEL)
    return positions


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("fuzz") / "model.dat"
    path.write_bytes(MODEL.read_bytes())
    yield path
    path.unlink()


@pytest.mark.slow
def test_damaged_structure_is_an_error_or_a_network(structure: list[int], scratch: Path) -> None:
    random = np.random.default_rng(1)
    refused = 0
    for position in random.choice(structure, 250, replace=False):
        with scratch.open("r+b") as file:
            file.seek(position)
            before = file.read(1)
            file.seek(position)
            file.write(bytes([before[0] ^ random.integers(1, 256)]))
        try:
            load(scratch)
        except FacetoolError as error:
            assert "\n" not in str(error)
            refused += 1
        with scratch.open("r+b") as file:
            file.seek(position)
            file.write(before)
    assert refused > 200
    load(scratch)


@pytest.mark.slow
def test_truncated_anywhere_is_an_error(structure: list[int], tmp_path: Path) -> None:
    data = MODEL.read_bytes()[:60_000]
    path = tmp_path / "cut.dat"
    near = [position for position in structure if position < len(data)]
    for length in [1, 2, 3, *near[4::5], len(data)]:
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"cut\.dat"):
            load(path)
