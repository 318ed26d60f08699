"""The represent stage on drawn crops: files, exact text, resume, recipes, damage."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dlib
import numpy as np
import pytest
import torch

from facetool.errors import OutputError, UsageError
from facetool.files.dlib_files import dlib_model_path
from facetool.files.embeddings_writer import EmbeddingsWriter
from facetool.files.image_states import ImageState
from facetool.files.represent_description import RepresentDescription
from facetool.images.read import read_image
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network

STATE = ImageState(7, 1_700_000_000_000_000_001, "ab" * 32)


@pytest.fixture(scope="session")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="session")
def reps(crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reps")
    represent(crops, folder, network, RepresentSettings(batch_size=10))
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_embeddings_are_dlibs(crops: Path, reps: Path) -> None:
    model = dlib.face_recognition_model_v1(
        str(dlib_model_path("dlib_face_recognition_resnet_model_v1.dat"))
    )
    vectors = np.load(reps / "reps.npy")
    names = sorted(str(path.relative_to(crops)) for path in crops.rglob("*.png"))
    for vector, name in list(zip(vectors, names, strict=True))[::5]:
        expected = np.array(model.compute_face_descriptor(read_image(crops / name)))
        assert np.linalg.norm(vector - expected) < 1e-4


def test_the_text_reads_back_to_the_same_numbers(reps: Path) -> None:
    vectors = np.load(reps / "reps.npy")
    assert vectors.dtype == np.float32
    assert vectors.shape == (24, 128)
    text = np.loadtxt(reps / "reps.csv", delimiter=",", dtype=np.float32)
    assert np.array_equal(text, vectors)


def test_labels_number_the_people(crops: Path, reps: Path) -> None:
    lines = list(csv.reader((reps / "labels.csv").open()))
    people = sorted({path.parent.name for path in crops.rglob("*.png")})
    assert len(lines) == 24
    assert [line[1] for line in lines] == sorted(line[1] for line in lines)
    for number, path in lines:
        assert people[int(number) - 1] == path.split("/")[0]


def test_what_represent_json_says(crops: Path, reps: Path, network: EmbeddingNetwork) -> None:
    described = json.loads((reps / "represent.json").read_text())
    assert described["network"] == "dlib-resnet"
    assert described["weights"] == {
        "name": "dlib-resnet.v1",
        "sha256": network.info.weights_sha256,
    }
    assert described["recipe"]["crop"]["width"] == 150
    assert described["counts"] == {"images": 24, "failed": 0}
    assert (described["flip"], described["dtype"], described["device"]) == (
        "none",
        "float32",
        "cpu",
    )


@pytest.mark.slow
def test_flips(crops: Path, reps: Path, network: EmbeddingNetwork, tmp_path: Path) -> None:
    for flip in ("sum", "concat"):
        represent(crops, tmp_path / flip, network, RepresentSettings(flip=flip))
    plain = np.load(reps / "reps.npy")
    both = np.load(tmp_path / "concat/reps.npy")
    assert both.shape == (24, 256)
    assert np.allclose(both[:, :128], plain, atol=1e-5)
    total = both[:, :128] + both[:, 128:]
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    assert np.allclose(np.load(tmp_path / "sum/reps.npy"), expected, atol=1e-5)
    assert not np.allclose(both[:, 128:], plain, atol=0.01)


def test_bfloat16_stays_near(
    crops: Path, reps: Path, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    represent(crops, tmp_path, network, RepresentSettings(dtype="bfloat16"))
    a, b = np.load(reps / "reps.npy"), np.load(tmp_path / "reps.npy")
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.9995


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_written_as_what_it_stood_for(
    native: bool,
    crops: Path,
    network: EmbeddingNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facetool.embedding.embedder._has_bfloat16", lambda device: native)
    expected = "bfloat16" if native else "float32"
    few = tmp_path / "crops" / "one"
    few.mkdir(parents=True)
    for path in sorted(crops.glob("*/*.png"))[:3]:
        shutil.copy2(path, few)
    auto, named = (
        RepresentSettings(device="cpu", dtype=dtype, any_crop=True) for dtype in ("auto", expected)
    )
    represent(few.parent, tmp_path / "reps", network, auto)
    written = files_of(tmp_path / "reps")
    document = json.loads(written["represent.json"])
    assert (document["device"], document["dtype"]) == ("cpu", expected)
    again = represent(few.parent, tmp_path / "reps", network, named)
    assert again.counts == {"already there": 3} and files_of(tmp_path / "reps") == written


def test_a_second_run_does_nothing(crops: Path, reps: Path, network: EmbeddingNetwork) -> None:
    before = files_of(reps)
    report = represent(crops, reps, network, RepresentSettings(batch_size=10))
    assert report.counts["already there"] == 24
    assert files_of(reps) == before


@pytest.mark.slow
def test_other_embeddings_are_not_overwritten(
    crops: Path, reps: Path, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    shutil.copytree(reps, tmp_path / "reps")
    with pytest.raises(UsageError, match=r"flip none there, sum now.*overwrite=True"):
        represent(crops, tmp_path / "reps", network, RepresentSettings(batch_size=10, flip="sum"))
    settings = RepresentSettings(batch_size=10, flip="sum")
    represent(crops, tmp_path / "reps", network, settings, overwrite=True)
    assert json.loads((tmp_path / "reps/represent.json").read_text())["flip"] == "sum"


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(crops: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "facetool", "represent", str(crops)]
    options = ["--batch-size", "2", "--device", "cpu"]
    subprocess.run([*command, str(tmp_path / "whole"), *options], check=True, capture_output=True)
    journal = tmp_path / "killed/.represent.journal.part"
    kills = 0
    for _ in range(2):
        process = subprocess.Popen(
            [*command, str(tmp_path / "killed"), *options], stderr=subprocess.DEVNULL
        )
        already = journal.stat().st_size if journal.is_file() else 0
        while process.poll() is None:
            if journal.is_file() and journal.stat().st_size > already:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
    assert kills
    subprocess.run([*command, str(tmp_path / "killed"), *options], check=True, capture_output=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


def test_the_writer_cuts_back_to_the_last_whole_batch(tmp_path: Path) -> None:
    """Bytes beyond the journal's last line are what a kill left of an unfinished batch."""
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    labels = [(1, f"a/{n}.png") for n in range(4)]
    with EmbeddingsWriter(tmp_path / "whole", 3, RepresentDescription(flip="none")) as writer:
        writer.add(vectors[:2], labels[:2], [STATE] * 2, [])
        writer.add(vectors[2:], labels[2:], [STATE] * 2, [("a/x.png", "damaged")])
        writer.finish(RepresentDescription(counts={"images": 4}))
    with EmbeddingsWriter(tmp_path / "cut", 3, RepresentDescription(flip="none")) as writer:
        writer.add(vectors[:2], labels[:2], [STATE] * 2, [])
    for name in (".reps.csv.part", ".labels.csv.part", ".reps.npy.part", ".inputs.csv.part"):
        with (tmp_path / "cut" / name).open("ab") as file:
            file.write(b"1234567")
    with (tmp_path / "cut/.represent.journal.part").open("ab") as file:
        file.write(b'{"rows": 3, "len')
    with EmbeddingsWriter(tmp_path / "cut", 3, RepresentDescription(flip="none")) as writer:
        assert writer.batches == 1
        writer.add(vectors[2:], labels[2:], [STATE] * 2, [("a/x.png", "damaged")])
        writer.finish(RepresentDescription(counts={"images": 4}))
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")


def test_the_writer_starts_anew_with_other_settings(tmp_path: Path) -> None:
    with EmbeddingsWriter(tmp_path, 3, RepresentDescription(flip="none")) as writer:
        writer.add(np.zeros((2, 3), np.float32), [(1, "a"), (1, "b")], [STATE] * 2, [])
    with EmbeddingsWriter(tmp_path, 3, RepresentDescription(flip="sum")) as writer:
        assert writer.batches == 0


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="cannot write"),
        EmbeddingsWriter(tmp_path, 3, RepresentDescription()) as writer,
    ):
        writer._files["reps.csv"].close()
        writer._files["reps.csv"] = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115
        writer.add(np.zeros((1, 3), np.float32), [(1, "a")], [STATE], [])


def test_a_disk_that_is_full_at_the_end_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):  # noqa: SIM117
        with EmbeddingsWriter(tmp_path, 3, RepresentDescription()) as writer:
            writer._opened.enter_context(open("/dev/full", "wb")).write(b"x")  # noqa: PTH123, SIM115


def test_an_error_at_the_start_leaves_the_folder_free(tmp_path: Path) -> None:
    in_the_way = tmp_path / ".reps.npy.part"
    in_the_way.mkdir()
    try:
        with EmbeddingsWriter(tmp_path, 3, RepresentDescription()):
            pass
    except OutputError as error:
        kept = error  # and with it all that its traceback holds
    assert "Is a directory" in str(kept)
    in_the_way.rmdir()
    with EmbeddingsWriter(tmp_path, 3, RepresentDescription()) as writer:
        assert writer.batches == 0


def test_crops_of_another_recipe_are_refused(crops: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        network = create("nn4.small2").eval()
    with pytest.raises(UsageError, match=r"align .* model='nn4.small2'"):
        represent(crops, tmp_path, network, RepresentSettings())
    report = represent(crops, tmp_path, network, RepresentSettings(any_crop=True))
    assert report.remarks["scaled to the network's size"] == 24
    assert np.load(tmp_path / "reps.npy").shape == (24, 128)


def test_bad_crops_are_named_and_the_rest_goes_on(
    crops: Path, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    folder = tmp_path / "crops"
    shutil.copytree(crops, folder)
    victim, *_ = sorted(folder.rglob("*.png"))
    victim.write_bytes(victim.read_bytes()[:500])
    report = represent(folder, tmp_path / "reps", network, RepresentSettings(batch_size=5))
    assert report.exit_code == 1
    assert report.failures[0][0] == str(victim.relative_to(folder))
    assert np.load(tmp_path / "reps/reps.npy").shape == (23, 128)
    assert str(victim.relative_to(folder)) not in (tmp_path / "reps/labels.csv").read_text()


def test_nothing_readable_is_an_error(network: EmbeddingNetwork, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_text("no")
    with pytest.raises(UsageError, match="none of the images"):
        represent(tmp_path / "in", tmp_path / "out", network, RepresentSettings(any_crop=True))


@pytest.mark.slow
def test_another_engine_is_another_run(
    crops: Path,
    network: EmbeddingNetwork,
    reps: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path / "home"))
    settings = RepresentSettings(device="cpu", batch_size=10, engine="openvino")
    represent(crops, tmp_path / "out", network, settings)
    assert json.loads((tmp_path / "out" / "represent.json").read_text())["engine"] == "openvino"
    assert "engine" not in json.loads((reps / "represent.json").read_text())
    ours, theirs = np.load(reps / "reps.npy"), np.load(tmp_path / "out" / "reps.npy")
    assert np.abs(ours - theirs).max() < 1e-5
    with pytest.raises(UsageError, match="engine not stated there, openvino now"):
        represent(crops, reps, network, settings)
    with pytest.raises(UsageError, match="engine openvino there"):
        represent(crops, tmp_path / "out", network, RepresentSettings(batch_size=10))
