"""IJB's protocols on drawn templates, against a plain reading of InsightFace's programs."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from facetool.errors import FacetoolError, FormatError, UsageError
from facetool.evaluation.templates import IJB_FAR_TARGETS
from facetool.pipeline.ijb_eval import ijb_eval

PEOPLE, EACH, SIZE = 30, 4, 16


class Drawn:
    """Lists and embeddings: of each person four templates of some photos and a video."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(0)
        centres = random.standard_normal((PEOPLE, SIZE))
        rows, self.people = [], {}
        for template in range(PEOPLE * EACH):
            self.people[10 + 3 * template] = template // EACH
            for medium in range(random.integers(1, 4)):
                for _ in range(random.integers(1, 4)):
                    rows.append((10 + 3 * template, 100 + medium))
        random.shuffle(rows)
        self.templates, self.media = np.array(rows).T
        owners = [self.people[template] for template in self.templates.tolist()]
        self.vectors = centres[owners] + 1.6 * random.standard_normal((len(rows), SIZE))
        self.vectors = self.vectors.astype(np.float32)
        self.scores = random.uniform(0.5, 1, len(rows)).astype(np.float32)
        self.folder = folder / "meta"
        self.folder.mkdir()
        self.write("ijbc_face_tid_mid.txt", [(f"{k + 1}.jpg", *r) for k, r in enumerate(rows)])
        self.write(
            "ijbc_name_5pts_score.txt",
            [(f"{k + 1}.jpg", *range(10), s) for k, s in enumerate(self.scores.tolist())],
        )
        numbers = sorted(self.people)
        self.pairs = random.choice(numbers, (3000, 2))
        self.same = np.array([self.people[a] == self.people[b] for a, b in self.pairs.tolist()])
        self.write(
            "ijbc_template_pair_label.txt",
            [(a, b, int(s)) for (a, b), s in zip(self.pairs.tolist(), self.same, strict=True)],
        )
        self.gallery = numbers[::EACH]
        half = len(self.gallery) // 2
        self.probes = [number for number in numbers if number not in self.gallery]
        for name, part in (
            ("gallery_G1", self.gallery[:half]),
            ("gallery_G2", self.gallery[half:]),
            ("probe_mixed", self.probes),
        ):
            titles = "TEMPLATE_ID,SUBJECT_ID,FILENAME\n"
            lines = "".join(f"{n},{self.people[n]},img/1.jpg\n" for n in part)
            (self.folder / f"ijbc_1N_{name}.csv").write_text(titles + lines)

    def write(self, name: str, rows: list[tuple[object, ...]]) -> None:
        (self.folder / name).write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))

    def template(self, number: int) -> np.ndarray:
        """As ijb_11.py pools one: means of media, summed, at unit length."""
        own = self.templates == number
        weighted = (self.vectors * self.scores[:, None])[own]
        media = self.media[own]
        total = sum(weighted[media == medium].mean(axis=0) for medium in np.unique(media))
        return np.asarray(total / np.linalg.norm(total))


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    return Drawn(tmp_path)


@pytest.fixture
def features(drawn: Drawn, tmp_path: Path) -> Path:
    np.save(tmp_path / "features.npy", drawn.vectors)
    return tmp_path / "features.npy"


def test_verification_by_the_nearest_point(drawn: Drawn, features: Path) -> None:
    result = ijb_eval(features, drawn.folder)
    scores = [float(drawn.template(a) @ drawn.template(b)) for a, b in drawn.pairs.tolist()]
    far, tar, _ = roc_curve(drawn.same, scores)
    assert result.verification is not None
    for one, target in zip(result.verification, IJB_FAR_TARGETS, strict=True):
        nearest = np.abs(far - target).min()
        assert one.tar == max(tar[np.abs(far - target) == nearest])
    assert [one.measurable for one in result.verification] == [False] * 3 + [True] * 3
    assert 0.2 < result.verification[-1].tar < 1


def test_identification(drawn: Drawn, features: Path) -> None:
    result = ijb_eval(features, drawn.folder).identification
    assert result is not None
    gallery = np.stack([drawn.template(number) for number in drawn.gallery])
    probes = np.stack([drawn.template(number) for number in drawn.probes])
    similarity = probes @ gallery.T
    mates = [drawn.people[number] for number in drawn.probes]
    own = similarity[range(len(mates)), mates]
    order = np.argsort(-similarity, axis=1)
    for rank in (1, 5, 10):
        assert result.rank[rank] == np.mean(
            [mate in row[:rank] for mate, row in zip(mates, order, strict=True)]
        )
    similarity[range(len(mates)), mates] = -2
    others = np.sort(similarity[similarity > -2])[::-1]
    for target in (0.01, 0.1):
        threshold = others[int(np.ceil(len(mates) * target)) - 1]
        assert result.thresholds[target] == pytest.approx(threshold)
        assert result.tpir[target] == (own > threshold).mean()


def test_too_few_probes_for_an_fpir(drawn: Drawn, features: Path) -> None:
    """Of 90 probes the highest of all others is the threshold for 1 %, which is one in 90."""
    found = ijb_eval(features, drawn.folder).as_dict()["identification"]["tpir_at_fpir"]
    assert [(one["target"], one["measurable"]) for one in found] == [(0.01, False), (0.1, True)]


def test_a_represent_folder_is_matched_by_name(
    drawn: Drawn, features: Path, tmp_path: Path
) -> None:
    """In another order, and with the mirrored images' embeddings behind the others."""
    order = np.random.default_rng(1).permutation(len(drawn.vectors))
    reps = tmp_path / "reps"
    reps.mkdir()
    half = drawn.vectors[order] / 2
    np.save(reps / "reps.npy", np.hstack([half, half]))
    (reps / "labels.csv").write_text("".join(f"1,loose_crop/{k + 1}.png\n" for k in order))
    (reps / "represent.json").write_text(json.dumps({"flip": "concat"}))
    expected = ijb_eval(features, drawn.folder).as_dict()
    assert ijb_eval(reps, drawn.folder).as_dict() == expected
    (reps / "labels.csv").write_text("".join(f"1,x/{k + 2}.png\n" for k in order))
    with pytest.raises(UsageError, match=r"lacks 1 of .* such as 1\.jpg"):
        ijb_eval(reps, drawn.folder)


def _in_folders(number: int) -> str:
    """IJB's own names: photos and frames are numbered each for themselves."""
    return f"{'img' if number % 2 else 'frames'}/{number // 2}"


def _represented(drawn: Drawn, folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    np.save(folder / "reps.npy", drawn.vectors)
    (folder / "labels.csv").write_text("".join(f"1,{name}\n" for name in names))
    return folder


@pytest.mark.parametrize("listed", ["{}.jpg", "./{}.png", "IJB-C/images/{}.jpg"])
@pytest.mark.parametrize("represented", ["{}.png", "IJB-C/images/{}.png"])
def test_one_file_name_in_several_folders(
    listed: str, represented: str, drawn: Drawn, features: Path, tmp_path: Path
) -> None:
    expected = ijb_eval(features, drawn.folder).as_dict()
    names = [_in_folders(number) for number in range(len(drawn.vectors))]
    rows = zip(drawn.templates.tolist(), drawn.media.tolist(), strict=True)
    drawn.write(
        "ijbc_face_tid_mid.txt",
        [(listed.format(name), *row) for name, row in zip(names, rows, strict=True)],
    )
    reps = _represented(drawn, tmp_path / "reps", [represented.format(name) for name in names])
    assert ijb_eval(reps, drawn.folder).as_dict() == expected


def test_a_file_name_that_does_not_say_which_image_is_refused(drawn: Drawn, tmp_path: Path) -> None:
    numbers = range(len(drawn.vectors))
    names = [f"{number + 1}.png" for number in numbers]
    reps = _represented(drawn, tmp_path / "two", [*names[:-2], "img/1.png", "frames/1.png"])
    with pytest.raises(FormatError, match=r"1 is there more than once: 1\.png and img/1\.png"):
        ijb_eval(reps, drawn.folder)
    rows = list(zip(drawn.templates.tolist(), drawn.media.tolist(), strict=True))
    listed = ["img/1.jpg", "frames/1.jpg", *(f"{number + 1}.jpg" for number in numbers[2:])]
    drawn.write(
        "ijbc_face_tid_mid.txt", [(name, *row) for name, row in zip(listed, rows, strict=True)]
    )
    with pytest.raises(FormatError, match=r"one image, 1\.png, for both img/1\.jpg and frames/1"):
        ijb_eval(_represented(drawn, tmp_path / "one", names), drawn.folder)


def test_lists_that_cannot_be(drawn: Drawn, features: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", drawn.vectors[1:])
    with pytest.raises(FormatError, match="of shape"):
        ijb_eval(tmp_path / "short.npy", drawn.folder)
    (drawn.folder / "ijbc_template_pair_label.txt").write_text("10 13 1\n10 11 0\n")
    with pytest.raises(FacetoolError, match="template 11 has no image"):
        ijb_eval(features, drawn.folder)
    (drawn.folder / "ijbc_template_pair_label.txt").write_text("10 13\n")
    with pytest.raises(FormatError, match="3 whole numbers"):
        ijb_eval(features, drawn.folder)
    with pytest.raises(UsageError, match="0 files"):
        ijb_eval(features, tmp_path)


@pytest.mark.parametrize("rows", [[3], [7, 9], slice(None)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("without", ["1N_gallery_G*", "template_pair_label*", "name_5pts_score*"])
def test_what_is_not_finite_is_named(
    rows: list[int] | slice, value: float, without: str, drawn: Drawn, tmp_path: Path
) -> None:
    for path in drawn.folder.glob(f"ijbc_{without}"):
        path.unlink()
    vectors = drawn.vectors.astype(np.float64)
    vectors[rows, 5] = value
    np.save(tmp_path / "bad.npy", vectors)
    row = np.arange(len(vectors))[rows][0] + 1
    with pytest.raises(FormatError, match=rf"bad\.npy: row {row} \({row}\.jpg\) has a value that"):
        ijb_eval(tmp_path / "bad.npy", drawn.folder)


@pytest.mark.parametrize("score", ["nan", "inf", "1e300"])
def test_scores_that_are_not_finite_are_named(score: str, drawn: Drawn, features: Path) -> None:
    scores = [*map(str, drawn.scores[:-1].tolist()), score]
    drawn.write("ijbc_name_5pts_score.txt", [("a.jpg", one) for one in scores])
    with pytest.raises(FormatError, match=rf"5pts_score\.txt: row {len(scores)} .* not finite"):
        ijb_eval(features, drawn.folder)


def test_values_whose_sum_or_product_is_too_large(drawn: Drawn, tmp_path: Path) -> None:
    vectors = drawn.vectors / np.abs(drawn.vectors).max() * np.float32(3e38)
    names = [f"{number + 1}.png" for number in range(len(vectors))]
    reps = _represented(drawn, tmp_path / "reps", names)
    np.save(reps / "reps.npy", np.hstack([vectors, vectors]))
    (reps / "represent.json").write_text(json.dumps({"flip": "concat"}))
    with pytest.raises(FormatError, match=r"reps: row \d+ \(\d+\.jpg\) .* not finite"):
        ijb_eval(reps, drawn.folder)
    np.save(tmp_path / "long.npy", vectors)
    drawn.write("ijbc_name_5pts_score.txt", [("a.jpg", 2)] * len(vectors))
    with pytest.raises(FormatError, match=r"score\.txt: row \d+ .* not finite"):
        ijb_eval(tmp_path / "long.npy", drawn.folder)


@pytest.mark.parametrize("value", [0, 0.25])
def test_embeddings_that_are_all_the_same_measure_nothing(
    value: float, drawn: Drawn, tmp_path: Path
) -> None:
    np.save(tmp_path / "same.npy", np.full_like(drawn.vectors, value))
    with pytest.raises(FacetoolError, match=r"all embeddings in .*same\.npy are the same"):
        ijb_eval(tmp_path / "same.npy", drawn.folder)


@pytest.mark.parametrize("labels", [(1, 2), (-1, 1), (0, 7)])
def test_labels_are_0_or_1(labels: tuple[int, int], drawn: Drawn, features: Path) -> None:
    drawn.write(
        "ijbc_template_pair_label.txt",
        [(a, b, labels[int(s)]) for (a, b), s in zip(drawn.pairs, drawn.same, strict=True)],
    )
    with pytest.raises(FormatError, match=r"pair_label\.txt: the label of pair \d+ is"):
        ijb_eval(features, drawn.folder)


def test_lists_that_contradict_each_other_are_refused(drawn: Drawn, features: Path) -> None:
    probes = drawn.folder / "ijbc_1N_probe_mixed.csv"
    whole = probes.read_text()
    probe, mate = drawn.probes[5], drawn.gallery[3]
    for template, subject in ((probe, drawn.people[probe] + 1), (mate, drawn.people[mate] + 1)):
        probes.write_text(f"{whole}{template},{subject},img/1.jpg\n")
        with pytest.raises(FacetoolError, match=f"template {template} is listed with two subj"):
            ijb_eval(features, drawn.folder)
    probes.write_text(whole + whole.partition("\n")[2])  # the same twice is no contradiction
    result = ijb_eval(features, drawn.folder).identification
    assert result is not None and result.probes == len(drawn.probes)
    drawn.write("ijbc_template_pair_label.txt", [(10, 13, 1), (22, 13, 0), (13, 10, 0)])
    with pytest.raises(FacetoolError, match="templates 10 and 13 are listed with both labels"):
        ijb_eval(features, drawn.folder)


@pytest.mark.parametrize("line", ["", "1.jpg 1", "1.jpg 1 99999999999999999999"])
def test_a_list_of_images_that_is_none(line: str, drawn: Drawn, features: Path) -> None:
    (drawn.folder / "ijbc_face_tid_mid.txt").write_text(line)
    with pytest.raises(FormatError, match="expected <image> <template> <medium>"):
        ijb_eval(features, drawn.folder)
