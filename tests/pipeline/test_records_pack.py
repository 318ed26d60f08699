"""Packing lists, encoding, shuffling, and leaving other sets alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96
from facetool.alignment.similarity import similarity_crop
from facetool.errors import FormatError, UsageError
from facetool.files.atomic import part_path
from facetool.files.image_list import read_image_list
from facetool.images.read import decode_image, read_image
from facetool.images.records import ImageRecords, read_properties
from facetool.pipeline.records_pack import PackSettings, pack
from facetool.training.data import TrainingSet

POINTS = np.array([[60, 70], [95, 72], [78, 90], [64, 108], [92, 110]], float)


def draw(path: Path, size: int = 112, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(cv2.resize(coarse, (size, size))).save(path)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for number in range(6):
        draw(tmp_path / "in" / f"P{number // 2}" / f"{number}.png", seed=number)
    return tmp_path / "in"


def line(*cells: object) -> str:
    return "\t".join(map(str, cells)) + "\n"


def test_a_list_of_crops_keeps_labels_and_order(people: Path, tmp_path: Path) -> None:
    listed = tmp_path / "train.lst"
    listed.write_text(
        line(1, people / "P2/4.png", 7) + line(1, "in/P0/0.png", 3) + line(1, "in/P0/1.png", 3)
    )
    report = pack(listed, tmp_path / "train.rec")
    assert str(report) == "3 images packed, 2 identities"
    records = ImageRecords(tmp_path / "train.rec")
    assert records.labels.tolist() == [7, 3, 3]
    assert records.ranges.tolist() == [[1, 2], [2, 4]]
    assert records.record(1).image == (people / "P2" / "4.png").read_bytes()
    assert (tmp_path / "property").read_text() == "8,112,112"
    assert len(listed.read_text().splitlines()) == 3  # the list itself is left as it was


@pytest.mark.parametrize("crop", [ARCFACE_112, ARCFACE_112X96])
def test_photos_of_a_list_are_cut_out_by_its_points(tmp_path: Path, crop) -> None:
    draw(tmp_path / "photo.png", 160)
    points = [*POINTS[:, 0], *POINTS[:, 1]]
    (tmp_path / "train.lst").write_text(
        line(0, "photo.png", 0, 1, 2, 3, 4, *points) + line(0, "photo.png", 1)
    )
    (tmp_path / "property").write_text(f"2,{crop.height},{crop.width}")
    report = pack(
        tmp_path / "train.lst", tmp_path / "train.rec", PackSettings(encoding="png", quality=9)
    )
    assert [name for name, _ in report.failures] == ["photo.png"]  # neither aligned nor points
    records = ImageRecords(tmp_path / "train.rec")
    assert records.record(1).labels == (0, 0)
    expected = similarity_crop(read_image(tmp_path / "photo.png"), POINTS, crop.width, crop.height)
    assert np.array_equal(decode_image(records.record(1).image), expected)
    assert read_properties(tmp_path / "train.rec") == (2, crop.height, crop.width, None)


def test_lists_of_mxnets_own_tool(people: Path, tmp_path: Path) -> None:
    """As WebFace42M's are made: a number, a label as a float, a path."""
    (tmp_path / "all.lst").write_text(
        line(0, "2.000000", "in/P2/4.png") + line(1, "0.000000", "in/P0/0.png")
    )
    pack(tmp_path / "all.lst", tmp_path / "out" / "train.rec")
    assert ImageRecords(tmp_path / "out" / "train.rec").labels.tolist() == [2, 0]


@pytest.mark.parametrize("text", ["1\ta.png\n", "x\ta.png\t1\n", "1\ta.png\tb\n", "0\t1\n"])
def test_other_lists_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.lst").write_text(line(1, "a.png", 0) + text)
    with pytest.raises(FormatError, match="line 2"):
        read_image_list(tmp_path / "a.lst")


def test_crops_are_reencoded_on_request(people: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in (95, 30):
        output = tmp_path / str(quality) / "train.rec"
        pack(people, output, PackSettings(encoding="jpg", quality=quality))
        data = ImageRecords(output).record(1).image
        image = read_image(people / "P0" / "0.png")
        _, expected = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        assert data == expected.tobytes()
        sizes.append(len(data))
    assert sizes[0] > sizes[1]
    with pytest.raises(UsageError, match="goes with encoding"):
        pack(people, tmp_path / "c.rec", PackSettings(quality=30))
    with pytest.raises(UsageError, match="0 to 9"):
        PackSettings(encoding="png", quality=95)


def test_a_shuffled_set_is_the_same_set(people: Path, tmp_path: Path) -> None:
    pack(people, tmp_path / "a" / "train.rec")
    for seed in (1, 2):
        pack(people, tmp_path / str(seed) / "train.rec", PackSettings(shuffle=seed))
    plain, one, other = (ImageRecords(tmp_path / n / "train.rec") for n in ("a", "1", "2"))

    def content(records: ImageRecords) -> list[tuple[int, bytes]]:
        keys = records.keys.tolist()
        images = [records.record(key).image for key in keys]
        return list(zip(records.labels.tolist(), images, strict=True))

    assert one.keys.tolist() == list(range(6)) and not len(one.ranges)
    assert one.record(0).labels == (float(one.labels[0]),)  # one label, as shuffle_rec.py writes
    assert sorted(content(one)) == sorted(content(other)) == sorted(content(plain))
    assert content(one) != content(plain) and content(one) != content(other)
    assert TrainingSet(tmp_path / "1").classes == 3


def test_a_property_of_another_set_is_never_rewritten(people: Path, tmp_path: Path) -> None:
    pack(people, tmp_path / "set" / "train.rec")
    before = (tmp_path / "set" / "property").read_bytes()
    draw(tmp_path / "more" / "A" / "1.png")
    with pytest.raises(UsageError, match=r"train\.rec; choose another folder"):
        pack(tmp_path / "more", tmp_path / "set" / "more.rec")
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "property").write_bytes(before)
    with pytest.raises(UsageError, match="3 identities"):
        pack(tmp_path / "more", alone / "more.rec")
    assert [path.name for path in alone.iterdir()] == ["property"]
    assert (alone / "property").read_bytes() == before
    pack(people, alone / "train.rec")  # says the same
    pack(tmp_path / "more", tmp_path / "set" / "more.rec", PackSettings(overwrite=True))
    assert (tmp_path / "set" / "property").read_text() == "1,112,112"


def test_a_run_killed_while_its_files_took_their_names_is_repeated(
    people: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pack(people, out / "train.rec")
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    for named in range(4):
        (out / "train.rec").rename(part_path(out / "train.rec"))
        for name in ("train.idx", "train.lst", "property")[named:]:
            (out / name).rename(part_path(out / name))
        pack(people, out / "train.rec")
        assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    with pytest.raises(UsageError, match=r"train\.rec is there already"):
        pack(people, out / "train.rec")


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("name", ["train.idx", "train.lst"])
def test_files_of_others_stay(people: Path, tmp_path: Path, name: str, killed: bool) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.idx").write_text("1\t0\n")
    (out / name).write_text("1\tmine.png\t0\n")
    if killed:
        part_path(out / "train.rec").write_bytes(b"half")
    before = {path.name: path.read_bytes() for path in out.glob("t*")}
    with pytest.raises(UsageError, match=r"train\.(idx|lst) is there already"):
        pack(people, out / "train.rec")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    draw(tmp_path / "empty" / "P1" / "a.png")
    (tmp_path / "empty" / "P1" / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match="none of the images"):
        pack(tmp_path / "empty", out / "train.rec")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_list_that_a_killed_run_packed_stays(people: Path, tmp_path: Path) -> None:
    listed = tmp_path / "train.lst"
    listed.write_text(line(1, people / "P2/4.png", 7))
    before = listed.read_bytes()
    part_path(tmp_path / "train.rec").write_bytes(b"half")
    with pytest.raises(UsageError, match=r"train\.lst is there already"):
        pack(people, tmp_path / "train.rec")
    pack(listed, tmp_path / "train.rec")
    assert listed.read_bytes() == before
