"""``represent`` on images that are not its network's crops, and on crops that have changed."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP
from facetool.embedding.embedder import Embedder
from facetool.embedding.named_people import read_named_people
from facetool.errors import FormatError, UsageError
from facetool.files import embeddings_writer
from facetool.files.embeddings import read_embeddings
from facetool.files.represent_description import (
    read_represent_description,
    write_represent_description,
)
from facetool.images.verification_set import write_bin
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.cluster import cluster
from facetool.pipeline.records import pack_pairs
from facetool.pipeline.records_pack import pack
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.weights.load import load_network

SETTINGS = RepresentSettings(batch_size=4)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture
def photos(album: Path, tmp_path: Path) -> Path:
    """Three people, two photos each, and room to change them."""
    folder = tmp_path / "photos"
    for person in sorted(path for path in album.iterdir() if path.is_dir())[:3]:
        for photo in sorted(person.iterdir())[:2]:
            target = folder / person.name / photo.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(photo, target)
    return folder


@pytest.fixture
def crops(photos: Path, tmp_path: Path) -> Path:
    return aligned(photos, tmp_path / "crops")


def aligned(photos: Path, crops: Path) -> Path:
    align(photos, crops, AlignSettings(crop=DLIB_CHIP, on_no_face="center"), jobs=1)
    return crops


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def as_fresh(crops: Path, reps: Path, network: EmbeddingNetwork) -> bool:
    fresh = reps.with_name("fresh")
    represent(crops, fresh, network, SETTINGS, overwrite=True)
    return files(reps) == files(fresh)


def photo_names(photos: Path) -> list[str]:
    return sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg"))


def test_raw_photos_are_refused(photos: Path, tmp_path: Path, network: EmbeddingNetwork) -> None:
    with pytest.raises(
        UsageError, match=r"no align\.json.* if they are photos, run align on them with model="
    ):
        represent(photos, tmp_path / "reps", network, SETTINGS)
    assert not (tmp_path / "reps").exists()
    insisting = RepresentSettings(any_crop=True)
    represent(photos, tmp_path / "reps", network, insisting)
    assert read_embeddings(tmp_path / "reps").vectors.shape == (6, 128)


@pytest.mark.slow
def test_crops_that_align_has_not_finished_are_refused(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    (crops / ".align.journal.part").write_bytes(b"{}\n")
    with pytest.raises(UsageError, match="align has not finished"):
        represent(crops, tmp_path / "reps", network, SETTINGS)
    (crops / ".align.journal.part").unlink()
    (crops / "align.csv").unlink()
    with pytest.raises(UsageError, match="align has not finished"):
        represent(crops, tmp_path / "reps", network, SETTINGS)


@pytest.mark.slow
def test_images_that_align_did_not_make_are_refused(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    Image.new("RGB", (150, 150)).save(crops / "mine.png")
    with pytest.raises(UsageError, match=r"1 image that align did not make, such as mine\.png"):
        represent(crops, tmp_path / "reps", network, SETTINGS)


@pytest.mark.slow
def test_crops_removed_by_hand_are_left_out(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    next(crops.rglob("*.png")).unlink()
    represent(crops, tmp_path / "reps", network, SETTINGS)
    assert len(read_embeddings(tmp_path / "reps").names) == 5


@pytest.mark.slow
def test_records_of_another_size_are_refused(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    pack(crops, tmp_path / "train.rec")
    with torch.random.fork_rng():
        other = create("mobilefacenet").eval()
    with pytest.raises(UsageError, match=r"150x150 pixels, but mobilefacenet wants .*112x112"):
        represent(tmp_path / "train.rec", tmp_path / "reps", other, SETTINGS)
    represent(tmp_path / "train.rec", tmp_path / "reps", network, SETTINGS)


@pytest.mark.slow
def test_one_photo_more_embeds_one_photo(
    photos: Path, crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    represent(crops, tmp_path / "reps", network, SETTINGS)
    first = photos / photo_names(photos)[0]
    shutil.copy2(photos / photo_names(photos)[-1], first.with_name("0.jpg"))
    aligned(photos, crops)
    report = represent(crops, tmp_path / "reps", network, SETTINGS)
    assert (report.counts["already there"], report.counts["represented"]) == (6, 1)
    assert as_fresh(crops, tmp_path / "reps", network)


@pytest.mark.slow
def test_one_photo_less_drops_a_row(
    photos: Path, crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    represent(crops, tmp_path / "reps", network, SETTINGS)
    (photos / photo_names(photos)[2]).unlink()
    aligned(photos, crops)
    report = represent(crops, tmp_path / "reps", network, SETTINGS)
    assert str(report) == "5 already there, 1 removed"
    assert len(read_embeddings(tmp_path / "reps").names) == 5
    assert as_fresh(crops, tmp_path / "reps", network)


@pytest.mark.slow
def test_a_replaced_photo_gets_its_own_embedding(
    photos: Path, crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    represent(crops, tmp_path / "reps", network, SETTINGS)
    old, *_, new = (photos / name for name in photo_names(photos))
    old.write_bytes(new.read_bytes())
    aligned(photos, crops)
    report = represent(crops, tmp_path / "reps", network, SETTINGS)
    assert report.counts["represented"] == 1
    assert as_fresh(crops, tmp_path / "reps", network)
    vectors = read_embeddings(tmp_path / "reps").vectors
    assert np.array_equal(vectors[0], vectors[-1])


@pytest.mark.slow
def test_fewer_images_than_a_batch_are_embedded_anew(
    photos: Path, crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    settings = RepresentSettings(batch_size=64)
    represent(crops, tmp_path / "reps", network, settings)
    shutil.copy2(photos / photo_names(photos)[0], photos / "one.jpg")
    aligned(photos, crops)
    report = represent(crops, tmp_path / "reps", network, settings)
    assert report.counts["represented"] == 7
    represent(crops, tmp_path / "fresh", network, settings)
    assert files(tmp_path / "reps") == files(tmp_path / "fresh")


@pytest.mark.slow
def test_crops_touched_but_the_same_are_kept(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    represent(crops, tmp_path / "reps", network, SETTINGS)
    for crop in crops.rglob("*.png"):
        crop.touch()
    report = represent(crops, tmp_path / "reps", network, SETTINGS)
    assert report.counts["represented"] == 0
    assert as_fresh(crops, tmp_path / "reps", network)


@pytest.mark.slow
def test_a_crop_that_failed_is_tried_again(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    crop = sorted(crops.rglob("*.png"))[1]
    whole = crop.read_bytes()
    crop.write_bytes(whole[:200])
    for _ in range(2):
        report = represent(crops, tmp_path / "reps", network, SETTINGS)
        assert [name for name, _ in report.failures] == [crop.relative_to(crops).as_posix()]
    crop.write_bytes(whole)
    assert represent(crops, tmp_path / "reps", network, SETTINGS).exit_code == 0
    assert as_fresh(crops, tmp_path / "reps", network)


@pytest.mark.slow
def test_crops_of_another_album_are_refused(
    photos: Path, crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    represent(crops, tmp_path / "reps", network, SETTINGS)
    before = files(tmp_path / "reps")
    other = aligned(photos, tmp_path / "other")
    with pytest.raises(UsageError, match=r"those of the images in .*crops\)"):
        represent(other, tmp_path / "reps", network, SETTINGS)
    assert files(tmp_path / "reps") == before


@pytest.mark.slow
@pytest.mark.parametrize("renamed", range(4))
def test_a_run_killed_among_its_renames_is_completed(
    photos: Path,
    crops: Path,
    tmp_path: Path,
    network: EmbeddingNetwork,
    monkeypatch: pytest.MonkeyPatch,
    renamed: int,
) -> None:
    reps = tmp_path / "reps"
    represent(crops, reps, network, SETTINGS)
    (photos / photo_names(photos)[0]).unlink()
    aligned(photos, crops)

    def stop_after(folder: Path) -> None:
        for name in embeddings_writer._FILES[:renamed]:
            embeddings_writer._part(folder, name).replace(folder / name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embeddings_writer, "complete_renames", stop_after)
        with pytest.raises(KeyboardInterrupt):
            represent(crops, reps, network, SETTINGS)
    with pytest.raises(FormatError, match="run it again"):
        read_embeddings(reps)
    represent(crops, reps, network, SETTINGS)
    assert as_fresh(crops, reps, network)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["dlib-resnet", "nn4.small2", "mobilefacenet", "lresnet18e-ir"])
def test_an_embedding_does_not_depend_on_its_neighbours(name: str, dtype: str) -> None:
    """To the last bit: this is what lets a later run keep the rows of an earlier one."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        some = create(name).eval()
    crop = some.recipe.crop
    images = np.random.default_rng(5).integers(0, 256, (8, crop.height, crop.width, 3), np.uint8)
    embedder = Embedder(some, torch.device("cpu"), dtype)
    together = embedder.embed(images, 8)
    assert np.array_equal(embedder.embed(images[::-1].copy(), 8), together[::-1])
    for count in (1, 3, 7):
        assert np.array_equal(embedder.embed(images[:count], 8), together[:count])


@pytest.mark.slow
def test_a_set_of_another_size_is_refused(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    from facetool.pipeline.bin_eval import bin_eval

    with torch.random.fork_rng():
        other = create("mobilefacenet").eval()
    images = [path.read_bytes() for path in sorted(crops.rglob("*.png"))[:4]]
    with (tmp_path / "set.bin").open("wb") as file:
        write_bin(file, images, [True, False])
    with pytest.raises(UsageError, match=r"set\.bin holds images of 150x150 pixels"):
        bin_eval([tmp_path / "set.bin"], other, torch.device("cpu"))
    bin_eval([tmp_path / "set.bin"], network, torch.device("cpu"))


@pytest.mark.slow
def test_pairs_of_raw_photos_are_not_packed(photos: Path, crops: Path, tmp_path: Path) -> None:
    names = photo_names(photos)
    people = sorted({name.split("/")[0] for name in names})
    renamed = tmp_path / "renamed"
    for folder, suffix in ((photos, "jpg"), (crops, "png")):
        for person in people:
            target = renamed / folder.name / person
            target.mkdir(parents=True)
            for number, path in enumerate(sorted((folder / person).iterdir()), 1):
                shutil.copy(path, target / f"{person}_{number:04d}.{suffix}")
    pairs = tmp_path / "pairs.txt"
    pairs.write_text(f"1\t1\n{people[0]}\t1\t2\n{people[0]}\t1\t{people[1]}\t1\n")
    with pytest.raises(UsageError, match=r"250x250 pixels, and .* no align\.json"):
        pack_pairs(renamed / "photos", tmp_path / "set.bin", pairs)
    for file in ("align.json", "align.csv"):
        shutil.copy(crops / file, renamed / "crops" / file)
    pack_pairs(renamed / "crops", tmp_path / "set.bin", pairs)
    pack_pairs(renamed / "photos", tmp_path / "raw.bin", pairs, any_crop=True)


@pytest.mark.slow
def test_a_lock_that_a_killed_run_left_behind_goes_away(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    """Killed when all was done but that."""
    reps = tmp_path / "reps"
    represent(crops, reps, network, SETTINGS)
    (reps / ".facetool.lock").touch()
    report = represent(crops, reps, network, SETTINGS)
    assert list(report.counts) == ["already there"]
    assert not (reps / ".facetool.lock").exists()


def test_a_part_of_an_aligned_folder_is_told_from_photos(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork
) -> None:
    person = next(path for path in sorted(crops.iterdir()) if path.is_dir())
    with pytest.raises(UsageError, match=rf"is a part of the crops in {crops}; give {crops},"):
        represent(person, tmp_path / "reps", network, SETTINGS)
    (crops / "align.json").unlink()
    with pytest.raises(UsageError, match=r"if they are photos, run align on them .*any_crop=True"):
        represent(person, tmp_path / "reps", network, SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("noted", [None, "crops"])
@pytest.mark.parametrize("move", [shutil.copytree, os.rename])
def test_a_project_that_was_moved_or_copied_is_itself(
    crops: Path, tmp_path: Path, network: EmbeddingNetwork, move, noted
) -> None:
    """``noted``: the place of the crops as facetool 0.1 noted it."""
    represent(crops, tmp_path / "P/reps", network, SETTINGS)
    crops.rename(tmp_path / "P/crops")
    represent(tmp_path / "P/crops", tmp_path / "P/reps", network, SETTINGS)
    if noted is not None:
        described = read_represent_description(tmp_path / "P/reps")
        write_represent_description(tmp_path / "P/reps", replace(described, input=noted))
    move(tmp_path / "P", tmp_path / "P2")
    before = files(tmp_path / "P2/reps")
    if move is os.rename:
        for ask in (read_named_people, lambda reps: cluster(reps, links=tmp_path / "links")):
            with pytest.raises(UsageError, match="moved, run facetool represent on"):
                ask(tmp_path / "P2/reps")
    report = represent(tmp_path / "P2/crops", tmp_path / "P2/reps", network, SETTINGS)
    assert dict(report.counts) == {"already there": 6}
    described = json.loads(before.pop("represent.json"))
    now = files(tmp_path / "P2/reps")
    assert json.loads(now.pop("represent.json")) == {
        **described,
        "input": str(tmp_path / "P2/crops"),
    }
    assert now == before
    if move is os.rename:
        cluster(tmp_path / "P2/reps", links=tmp_path / "links")
        links = [link for link in (tmp_path / "links").rglob("*") if link.is_symlink()]
        assert len(links) == 6 and all(link.is_file() for link in links)
