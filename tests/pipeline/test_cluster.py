import csv
import json
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import UsageError
from facetool.pipeline.cluster import cluster


def test_cluster(three_people, tmp_path):
    result = cluster(three_people, table=tmp_path / "groups.csv", links=tmp_path / "links")
    assert np.bincount(result.groups).tolist() == [5, 4, 3]
    metrics = result.as_dict()
    same, together = 3 * 6, 10 + 6 + 3
    right = 6 + 6 + 3
    assert metrics["pair_precision"] == pytest.approx(right / together)
    assert metrics["pair_recall"] == pytest.approx(right / same)
    with (tmp_path / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["1"] * 5 + ["2"] * 4 + ["3"] * 3
    assert [row["image"] for row in rows[:5]] == ["B/3.png", *(f"C/{k}.png" for k in range(4))]
    first = tmp_path / "links" / "1"
    assert {link.read_text() for link in first.iterdir()} == {row["image"] for row in rows[:5]}
    assert all(link.is_symlink() for link in first.iterdir())


def test_links_of_an_earlier_call_are_replaced(three_people, tmp_path):
    links = tmp_path / "links"
    cluster(three_people, 1e-9, links=links)
    assert len(list(links.iterdir())) == 12
    crops = Path(json.loads((three_people / "represent.json").read_text())["input"])
    (crops / "C" / "3.png").rename(crops / "C" / "gone.png")  # a link to nowhere, and still ours
    cluster(three_people, links=links)
    assert sorted(path.name for path in links.iterdir()) == ["1", "2", "3"]
    assert len(list(links.glob("*/*"))) == 12


@pytest.mark.parametrize("foreign", ["file", "file in a folder", "link elsewhere", "deep folder"])
def test_links_beside_anything_else_stay(three_people, tmp_path, foreign):
    links = tmp_path / "links"
    cluster(three_people, links=links)
    place = links / "1" / "mine" if foreign != "file" else links / "mine"
    if foreign == "link elsewhere":
        place.symlink_to(tmp_path / "mine")
    elif foreign == "deep folder":
        place.mkdir()
    else:
        place.write_text("mine")
    before = sorted(links.rglob("*"))
    with pytest.raises(UsageError, match=r"mine is no link to a crop .*; choose another folder"):
        cluster(three_people, 1e-9, links=links)
    assert sorted(links.rglob("*")) == before


def test_what_cannot_be(three_people, tmp_path):
    described = {"network": "x", "input": "/nowhere", "unit_length": True}
    (three_people / "represent.json").write_text(json.dumps(described))
    with pytest.raises(UsageError, match="give one with threshold"):
        cluster(three_people)
    with pytest.raises(UsageError, match="crops are not in"):
        cluster(three_people, 0.5, links=tmp_path / "links")


def fill_in(names, **known):
    """Give names as a user does; ``known``: name to a letter its images' names begin with."""
    rows = list(csv.reader(names.read_text().splitlines()))
    for row in rows[1:]:
        for name, start in known.items():
            if row[1].startswith(start):
                row[0] = name
    with names.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def named(names):
    return {image: name for name, image in csv.reader(names.read_text().splitlines()[1:]) if name}


def without(reps, folder, rows):
    """The represent folder as it was before some photos came."""
    folder.mkdir()
    kept = [row for row in range(len(np.load(reps / "reps.npy"))) if row not in rows]
    np.save(folder / "reps.npy", np.load(reps / "reps.npy")[kept])
    lines = (reps / "labels.csv").read_text().splitlines(keepends=True)
    (folder / "labels.csv").write_text("".join(lines[row] for row in kept))
    (folder / "represent.json").write_text((reps / "represent.json").read_text())
    return folder


def test_names_given_by_hand_survive_more_photos(three_people, tmp_path):
    names = tmp_path / "names.csv"
    before = without(three_people, tmp_path / "before", {1, 9})
    cluster(before, names=names)
    proposed = names.read_text().splitlines()
    assert proposed[0] == "name,image" and all(line.startswith(",") for line in proposed[1:])
    assert len(proposed) == 1 + 3
    fill_in(names, Ann="A", Bo="B")
    cluster(before, names=names)
    told = named(names)
    assert set(told.values()) == {"Ann", "Bo"} and len(told) > 2

    result = cluster(three_people, table=tmp_path / "groups.csv", names=names)
    now = named(names)
    assert told.items() < now.items()  # every name is kept, and new photos have got theirs
    assert {name for image, name in now.items() if image[0] == "A"} == {"Ann"}
    assert {name for image, name in now.items() if image[0] == "B"} == {"Bo"}
    assert result.as_dict()["named_groups"] == 2
    assert (tmp_path / "groups.csv").read_text().startswith("group,image,name\n")

    # However strict the threshold, and whichever photos are gone, what has a name keeps it.
    cluster(before, 1e-9, names=names)
    assert now.items() <= named(names).items()


def test_folders_of_links_have_the_names(three_people, tmp_path):
    names = tmp_path / "names.csv"
    cluster(three_people, names=names)
    fill_in(names, **{"../A": "A", "1": "B"})
    cluster(three_people, names=names, links=tmp_path / "links")
    assert sorted(path.name for path in (tmp_path / "links").iterdir())[1:] == ["1_", "_..-A"]


def test_one_name_joins_and_two_names_part(three_people, tmp_path):
    names = tmp_path / "names.csv"
    names.write_text("name,image\nAnn,A/0.png\nAnn,C/0.png\nBo,A/1.png\n")
    result = cluster(three_people, names=names)
    of = dict(zip(result.images, (result.names[group] for group in result.groups), strict=True))
    assert of["A/0.png"] == of["C/0.png"] == "Ann" and of["A/1.png"] == "Bo"


def test_a_name_on_two_groups_keeps_both_whole(three_people, tmp_path):
    names = tmp_path / "names.csv"
    cluster(three_people, names=names)
    fill_in(names, Ann="A", Bo="B")
    fill_in(names, Ann="C")
    result = cluster(three_people, names=names)
    of = dict(zip(result.images, (result.names[group] for group in result.groups), strict=True))
    assert {of[image] for image in of if image[0] in "AC"} == {"Ann"}
    assert sorted(result.names) == ["Ann", "Bo"]
