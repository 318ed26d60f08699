"""Noise lists."""

from pathlib import Path

import numpy as np

from facetool.evaluation.noise_lists import NoiseList, read_noise_lists, replace_noisy
from facetool.jobs.progress import Progress, follow


def test_lists_as_insightface_publishes_them(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("#a licence\nRobert_Jr._49395.png\nOlivia_d'Abo_1.png\n\n")
    second.write_text("375/37531198@N00/4174611825_0.jpg\n0.97\t105/1@N05/7_1.jpg\n")
    noise = read_noise_lists([first, second])
    names = [
        "Robert_Jr./Robert_Jr._49395.png",
        "crops/Olivia_d'Abo/Olivia_d'Abo_1.jpg",
        "375/37531198@N00/4174611825_0.png",
        "x/375/37531198@N00/4174611825_0.jpg",
        "105/1@N05/7_1.jpg",
        "37531198@N00/4174611825_0.jpg",
        "Robert_Jr./Robert_Jr..png",
    ]
    assert noise.find(names).tolist() == [True] * 5 + [False] * 2
    assert len(noise) == 4


def test_empty_list_finds_nothing() -> None:
    assert NoiseList([]).find(["a/b.png"]).tolist() == [False]


def test_noisy_images_become_the_centre_of_the_others() -> None:
    vectors = np.array([[2, 0, 0], [0, 5, 0], [-1, -1, 9], [3, 4, 0], [1, 0, 0]], np.float32)
    people = np.array([0, 0, 0, 1, 2])
    cleaned, keep = replace_noisy(vectors, people, np.array([False, False, True, True, False]))
    assert np.allclose(cleaned[2], [0.5**0.5, 0.5**0.5, 0])
    assert keep.tolist() == [True, True, True, False, True]
    assert (cleaned[[0, 1, 4]] == vectors[[0, 1, 4]]).all()
    assert vectors[2].tolist() == [-1, -1, 9]


def test_of_more_columns_the_second_counts(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("0.97\tann/1.jpg\tbob/2.jpg\n")
    found = read_noise_lists([path]).find(["ann/1.png", "bob/2.png", "0.97"])
    assert found.tolist() == [True, False, False]


def test_a_list_that_names_nothing_is_remarked_on(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    class Listener(Progress):
        def remark(self, name: str, reason: str) -> None:
            told.append((name, reason))

    used, unused = tmp_path / "used.txt", tmp_path / "unused.txt"
    used.write_text("ann/1.jpg\n")
    unused.write_text("bob/1.jpg\nbob/2.jpg\n")
    lists = read_noise_lists([used, unused])
    lists.find(["ann/1.png", "cid/1.png"])
    with follow(Listener()):
        lists.remark_unused()
    ((name, reason),) = told
    assert name == str(unused) and reason.startswith("lists 2 images, none of which is here")
