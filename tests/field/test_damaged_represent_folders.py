"""``represent`` on a folder of its own that something has damaged, or that others made."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facetool.errors import FormatError, UsageError
from facetool.files.embeddings import read_embeddings
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.pipeline.represent import RepresentSettings, represent
from tests.remarks import remarks

SETTINGS = RepresentSettings(batch_size=4, any_crop=True)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create("mobilefacenet", embedding_size=8).eval()


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    for number in range(6):
        path = tmp_path / "crops" / f"P{number // 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "crops"


@pytest.fixture
def reps(crops: Path, network: EmbeddingNetwork, tmp_path: Path) -> Path:
    represent(crops, tmp_path / "reps", network, SETTINGS)
    return tmp_path / "reps"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def reverse(path: Path) -> None:
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


def group(path: Path) -> None:
    """As an earlier facetool did when a table of groups got the name of an input."""
    path.write_text("group,image\n" + "".join(f"1,P{n // 2}/{n}.png\n" for n in range(6)))


def drop_a_row(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))


def zero(path: Path) -> None:
    np.save(path, np.zeros_like(np.load(path)))


def narrow(path: Path) -> None:
    np.save(path, np.load(path)[:, :4])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)


def change_a_digit(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    digit = lines[2][4]
    lines[2] = f"{lines[2][:4]}{(int(digit) + 1) % 10}{lines[2][5:]}"
    path.write_text("".join(lines))


DAMAGE: list[tuple[str, Callable[[Path], object]]] = [
    ("reps.npy", group),
    ("reps.npy", cut),
    ("reps.npy", zero),
    ("reps.npy", narrow),
    ("reps.npy", flip_a_bit),
    ("reps.npy", Path.unlink),
    ("reps.npy", lambda path: np.save(path, np.load(path)[::-1])),
    ("reps.npy", lambda path: np.save(path, np.float32(1))),
    ("reps.csv", group),
    ("reps.csv", cut),
    ("reps.csv", reverse),
    ("reps.csv", drop_a_row),
    ("reps.csv", change_a_digit),
    ("reps.csv", Path.unlink),
    ("reps.csv", lambda path: path.write_text("")),
    ("labels.csv", group),
    ("labels.csv", cut),
    ("labels.csv", reverse),
    ("labels.csv", Path.unlink),
    ("labels.csv", lambda path: path.write_text(path.read_text().replace("2,P1", "1,P1", 1))),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
@pytest.mark.parametrize("one_more", [False, True])
def test_it_is_said_and_made_again(
    name: str,
    damage: Callable[[Path], object],
    one_more: bool,
    crops: Path,
    reps: Path,
    network: EmbeddingNetwork,
    tmp_path: Path,
) -> None:
    damage(reps / name)
    if one_more:
        (crops / "P2" / "7.png").write_bytes((crops / "P2" / "5.png").read_bytes())
    with remarks() as said:
        report = represent(crops, reps, network, SETTINGS)
    assert len(said) == 1 and said[0].startswith(f"{reps}: damaged, so all of it is made again: ")
    assert name in said[0] and "\n" not in said[0]
    assert report.counts["represented"] == 6 + one_more
    represent(crops, tmp_path / "fresh", network, SETTINGS)
    assert files(reps) == files(tmp_path / "fresh")
    assert represent(crops, reps, network, SETTINGS).counts["already there"] == 6 + one_more


@pytest.mark.parametrize(
    ("name", "damage"), [("reps.npy", flip_a_bit), ("reps.csv", change_a_digit)]
)
def test_who_reads_changed_numbers_is_told(
    name: str, damage: Callable[[Path], object], reps: Path
) -> None:
    if name == "reps.csv":
        (reps / "reps.npy").unlink()
    with remarks() as said:
        read_embeddings(reps)
    assert not said
    damage(reps / name)
    with remarks() as said:
        read_embeddings(reps)
    assert said == [f"{reps / name}: has changed since facetool wrote it"]


@pytest.mark.parametrize(
    "text", ["", "group,image\n", '{"counts": 7}', "[]", '{"threshold": {"squared_l2": NaN}}']
)
def test_a_damaged_description_needs_overwrite(
    text: str, crops: Path, reps: Path, network: EmbeddingNetwork
) -> None:
    whole = files(reps)
    (reps / "represent.json").write_text(text)
    with pytest.raises(FormatError, match=r"represent\.json.*; start over with overwrite=True"):
        represent(crops, reps, network, SETTINGS)
    represent(crops, reps, network, SETTINGS, overwrite=True)
    assert files(reps) == whole


def test_overwrite_starts_over_whatever_is_there(
    crops: Path, reps: Path, network: EmbeddingNetwork
) -> None:
    whole = files(reps)
    first = (json.dumps({"network": "n"}) + "\n").encode()
    journals = [b"", b"\0", b"[]\n", b'{"renaming": 7}\n', b'{"renaming": {"counts": 7}}\n']
    for journal in [*journals, first, first + b'{"rows": Infinity}\n']:
        for path in reps.iterdir():
            path.write_bytes(b"\0damaged\n")
        (reps / ".represent.journal.part").write_bytes(journal)
        (reps / ".facetool.lock").touch()
        represent(crops, reps, network, SETTINGS, overwrite=True)
        assert files(reps) == whole


def test_a_journal_whose_files_are_gone_is_no_hindrance(
    crops: Path, reps: Path, network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files(reps)
    for path in reps.iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("facetool.pipeline.represent._check_untouched", _stop)
        with pytest.raises(KeyboardInterrupt):
            represent(crops, reps, network, SETTINGS)
    (reps / ".labels.csv.part").unlink()
    represent(crops, reps, network, SETTINGS)
    assert files(reps) == whole


def _stop(*arguments: object) -> None:
    raise KeyboardInterrupt


def test_embeddings_that_nothing_describes_stay(
    crops: Path, reps: Path, network: EmbeddingNetwork
) -> None:
    """Those of OpenFace, say."""
    for text in ("{}", None):
        (reps / "represent.json").unlink()
        if text is not None:
            (reps / "represent.json").write_text(text)
        before = files(reps)
        with pytest.raises(UsageError, match=r"holds reps\.csv, and no represent\.json"):
            represent(crops, reps, network, SETTINGS)
        assert files(reps) == before


def test_crops_are_no_folder_to_write_to(crops: Path, network: EmbeddingNetwork) -> None:
    with pytest.raises(UsageError, match="crops is an input of this command; choose another"):
        represent(crops, crops, network, SETTINGS)
    assert not (crops / "reps.csv").exists()
