"""Files of the user's in the place of a result are not written over, nor is an input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from PIL import Image

from facetool.cli.main import cli
from facetool.errors import UsageError
from facetool.networks.registry import create
from facetool.pipeline.classify_evaluate import evaluate_classifier
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.cluster import cluster
from facetool.pipeline.embed_plot import embed_plot
from facetool.pipeline.identify import identify
from facetool.pipeline.lfw_eval import lfw_eval
from facetool.pipeline.models import convert, export
from facetool.pipeline.models_quantize import quantize_network
from facetool.pipeline.records import pack_pairs
from facetool.pipeline.records_pack import pack
from facetool.reports.page import write_page
from facetool.weights import safetensors

Writer = Callable[[Path], object]

VECTORS = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture
def reps(tmp_path: Path) -> Path:
    """Three people, four images each, as OpenFace has them: without reps.npy."""
    folder = tmp_path / "reps"
    folder.mkdir()
    np.savetxt(folder / "reps.csv", VECTORS, delimiter=",")
    labels = "".join(f"1,P{row // 4}/P{row // 4}_{row % 4 + 1:04d}.png\n" for row in range(12))
    (folder / "labels.csv").write_text(labels)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text("2\t1\n" + 2 * "P0\t1\t2\nP0\t1\tP1\t2\n")
    return path


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    folder = tmp_path / "crops"
    for person in range(3):
        (folder / f"P{person}").mkdir(parents=True)
        for image in range(2):
            name = f"P{person}/P{person}_{image + 1:04d}.png"
            Image.new("RGB", (112, 112), (person, image, 0)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    with torch.random.fork_rng():
        safetensors.save_network(create("mobilefacenet", embedding_size=8).eval(), path)
    return path


def write_empty_page(path: Path) -> None:
    with write_page(path, "title"):
        pass


@pytest.fixture
def writers(reps: Path, crops: Path, pairs: Path, network: Path) -> dict[str, Writer]:
    """By the file that they write, everything that takes the name of a file or of its folder."""
    settings = ClassifierSettings(kind="nearest-mean")
    return {
        "groups.csv": lambda path: cluster(reps, 1.0, path),
        "page.html": write_empty_page,
        "plot.png": lambda path: embed_plot(reps, path),
        "plot.pdf": lambda path: embed_plot(reps, path),
        "classifier.safetensors": lambda path: train_classifier(reps, path, settings),
        "net.safetensors": lambda path: convert(network, path),
        "net.onnx": lambda path: export(str(network), path),
        "net.xml": lambda path: export(str(network), path),
        "net.bin": lambda path: export(str(network), path.with_suffix(".xml")),
        "int8.xml": lambda path: quantize_network(str(network), path, calibrate=crops),
        "set.lst": lambda path: pack(crops, path.with_suffix(".rec")),
        "set.idx": lambda path: pack(crops, path.with_suffix(".rec")),
        "set.bin": lambda path: pack_pairs(crops, path, pairs, any_crop=True),
        **{
            name: lambda path: lfw_eval(reps, pairs, output=path.parent)
            for name in ("accuracies.txt", "l2-roc.fold-1.csv", "result.json", "roc.pdf")
        },
        **{
            name: lambda path: identify(reps, reps, output=path.parent)
            for name in ("identify.json", "identify.png")
        },
        **{
            name: lambda path: evaluate_classifier(reps, settings=settings, output=path.parent)
            for name in ("classification.json", "confusion.png")
        },
    }


NAMES = [
    "groups.csv",
    "page.html",
    "plot.png",
    "plot.pdf",
    "classifier.safetensors",
    "net.safetensors",
    "net.onnx",
    "net.xml",
    "net.bin",
    "int8.xml",
    "set.lst",
    "set.idx",
    "set.bin",
    "accuracies.txt",
    "l2-roc.fold-1.csv",
    "result.json",
    "roc.pdf",
    "identify.json",
    "identify.png",
    "classification.json",
    "confusion.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_another_file_stays(name: str, writers: dict[str, Writer], tmp_path: Path) -> None:
    file = tmp_path / "mine" / name
    file.parent.mkdir()
    Image.new("RGB", (9, 9)).save(file, format="png")
    before = file.read_bytes()
    with pytest.raises(UsageError, match=rf"{name} is there (and is no|already)"):
        writers[name](file)
    assert [path.name for path in file.parent.iterdir()] == [name]
    assert file.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("set.", "int8"))])
def test_an_earlier_result_is_replaced(
    name: str, writers: dict[str, Writer], tmp_path: Path
) -> None:
    if name in ("net.xml", "net.bin"):
        pytest.importorskip("openvino")
    file = tmp_path / "mine" / name
    for _ in range(2):
        writers[name](file)
        assert file.stat().st_size


def test_one_of_facetools_formats_is_not_another(network: Path, reps: Path, tmp_path: Path) -> None:
    """Weights, which took days to train, are no classifier although both are safetensors."""
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(network.read_bytes())
    with pytest.raises(UsageError, match="is there and is no classifier"):
        train_classifier(reps, weights, ClassifierSettings())
    assert weights.read_bytes() == network.read_bytes()


@pytest.mark.parametrize("name", ["reps.npy", "reps.csv", "labels.csv", "represent.json"])
def test_a_represent_folder_keeps_its_files(name: str, reps: Path) -> None:
    """Nor do any come that others would then read in place of what is there."""
    before = {path.name: path.read_bytes() for path in reps.iterdir()}
    with pytest.raises(UsageError, match=rf"{name} is an input of this command"):
        cluster(reps, 1.0, reps / name)
    with pytest.raises(UsageError, match=rf"{name} is an input of this command"):
        train_classifier(reps, reps / name, ClassifierSettings())
    assert {path.name: path.read_bytes() for path in reps.iterdir()} == before


def test_a_page_is_refused_before_the_work(reps: Path, tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text("<html>somebody else's</html>")
    with pytest.raises(UsageError, match=r"index.html is there and is no page of facetool's"):
        cli.main(["cluster", str(reps), "--html", str(page)], standalone_mode=False)
    assert not (reps / "groups.csv").exists()


def test_inputs_stay(reps: Path, crops: Path, pairs: Path, network: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    cluster(reps, 1.0, names=names)
    table, verified = tmp_path / "accuracies.txt", tmp_path / "verified.bin"
    table.write_bytes(pairs.read_bytes())
    verified.write_bytes(pairs.read_bytes())
    onnx = tmp_path / "net.onnx"
    onnx.symlink_to(network)
    calls: list[tuple[Path, Callable[[], object]]] = [
        (names, lambda: cluster(reps, 1.0, names, names=names)),
        (table, lambda: lfw_eval(reps, table, output=tmp_path)),
        (verified, lambda: pack_pairs(crops, verified, verified, overwrite=True, any_crop=True)),
        (network, lambda: convert(network, network)),
        (network, lambda: export("mobilefacenet", onnx, network)),
    ]
    for path, call in calls:
        before = path.read_bytes()
        with pytest.raises(UsageError, match="is an input of this command; choose another name"):
            call()
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("cluster", ["-o", "--html"]),
        ("cluster", ["-o", "--names"]),
        ("cluster", ["--names", "--html"]),
        ("lfw-eval", ["--pairs-plot", "--html"]),
        ("align", ["--explain", "--html"]),
    ],
)
def test_two_results_need_two_files(
    command: str, options: list[str], reps: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    places = tmp_path / "result.html", tmp_path / "link" / "result.html"
    given = [text for pair in zip(options, map(str, places), strict=True) for text in pair]
    with pytest.raises(click.BadParameter, match=r"result\.html is to hold another result, too"):
        cli.main([command, str(reps), *given], standalone_mode=False)
    assert not places[0].exists()
