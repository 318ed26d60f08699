"""IJB-B and IJB-C: 1:1 verification and 1:N identification of templates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FacetoolError, FormatError, UsageError
from facetool.evaluation.distances import check_distinct
from facetool.evaluation.pair_images import ImageIndex, PathImage
from facetool.evaluation.templates import (
    TarNearFar,
    TemplateIdentification,
    Templates,
    _Indices,
    identify_templates,
    pair_scores,
    pool,
    tar_near_far,
)
from facetool.files.embeddings import NPY_DAMAGE, bad_npy, first_not_finite, read_embeddings
from facetool.files.text import counted, read_text, reading

_GALLERIES = ("1N_gallery_G1.csv", "1N_gallery_G2.csv", "1N_gallery_S1.csv", "1N_gallery_S2.csv")


@dataclass(frozen=True, kw_only=True)
class IjbResult:
    """What was measured; None where the folder of lists has no list for it.

    Attributes:
        images: how many have an embedding.
        templates: how many there are.
        verification: true accept rates, by false accept rate.
        pairs: of templates, ``genuine`` and ``impostors``.
        identification: in the gallery.
    """

    images: int
    templates: int
    verification: list[TarNearFar] | None
    pairs: dict[str, int] | None
    identification: TemplateIdentification | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = self.identification
        return {
            "protocol": "ijb",
            "images": self.images,
            "templates": self.templates,
            "pairs": self.pairs,
            "verification": self.verification and [asdict(one) for one in self.verification],
            "identification": found
            and {
                "probes": found.probes,
                "gallery": found.gallery,
                "rank": {str(rank): share for rank, share in found.rank.items()},
                "tpir_at_fpir": [
                    {
                        "target": far,
                        "tpir": tpir,
                        "threshold": found.thresholds[far],
                        "measurable": found.measurable(far),
                    }
                    for far, tpir in found.tpir.items()
                ],
            },
        }


def ijb_eval(features: Path, lists: Path) -> IjbResult:
    """Evaluate embeddings by the protocols of IJB-B and IJB-C.

    Embeddings count as long as they are, times the detector's score where the lists have it;
    of mirrored crops that stand behind the others (``concat``) they are added.

    Args:
        features: a represent folder, whose images are found by the ends of their paths as far as
            the list gives them, or a ``.npy`` file (N, D) in the order of the list of images.
        lists: the folder ``meta`` of either: ``*_face_tid_mid.txt``, and for 1:1
            ``*_template_pair_label.txt``, for 1:N ``*_1N_gallery_*.csv`` and
            ``*_1N_probe_mixed.csv``.

    Raises:
        UsageError: a list is missing, or an image has no embedding.
        FormatError: a file is damaged, or it is not clear which image is meant.
        FacetoolError: the lists contradict each other, or all embeddings are the same.
    """
    names, templates, media = _images(_only(lists, "*_face_tid_mid.txt"))
    vectors = _vectors(features, names)
    _check_finite(vectors, features, names)
    check_distinct(vectors, features)
    weights = sorted(lists.glob("*_name_5pts_score.txt"))
    if weights:
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = vectors * _scores(weights[0], len(names))[:, None]
        _check_finite(vectors, weights[0], names)
    pooled = pool(vectors, templates, media)
    rates, pairs = None, None
    if lists_of_pairs := sorted(lists.glob("*_template_pair_label.txt")):
        first, second, label = _numbers(lists_of_pairs[0], 3, None)
        if (odd := ~np.isin(label, (0, 1))).any():
            raise FormatError(
                f"{lists_of_pairs[0]}: the label of pair {int(odd.argmax()) + 1} is "
                f"{int(label[odd][0])}; it should be 1 for one subject and 0 for two"
            )
        same = label == 1
        _check_pairs(pooled, first, second, label)
        rates = tar_near_far(pair_scores(pooled, first, second), same)
        pairs = {"genuine": int(same.sum()), "impostors": int((~same).sum())}
    galleries = [path for end in _GALLERIES for path in sorted(lists.glob(f"*_{end}"))]
    found = None
    if galleries:
        gallery, people = (
            np.concatenate(part)
            for part in zip(*(_numbers(path, 2, ",") for path in galleries), strict=True)
        )
        probes, probe_people = _numbers(_only(lists, "*_1N_probe_mixed.csv"), 2, ",")
        subjects = np.concatenate([people, probe_people])
        if (torn := _contradicted(np.concatenate([gallery, probes]), subjects)) is not None:
            raise FacetoolError(f"{lists}: template {torn} is listed with two subjects")
        found = identify_templates(
            *_side(pooled, probes, probe_people), *_side(pooled, gallery, people)
        )
    if rates is None and found is None:
        raise UsageError(f"{lists} has neither pairs of templates nor a gallery")
    return IjbResult(
        images=len(names),
        templates=len(pooled.numbers),
        verification=rates,
        pairs=pairs,
        identification=found,
    )


def _check_pairs(pooled: Templates, first: _Indices, second: _Indices, label: _Indices) -> None:
    """Refuse a pair of templates that stands there with both labels."""
    rows = np.sort([pooled.rows(first), pooled.rows(second)], axis=0)
    count = len(pooled.numbers)
    if (pair := _contradicted(rows[0] * count + rows[1], label)) is not None:
        one, other = (int(pooled.numbers[row]) for row in divmod(pair, count))
        raise FacetoolError(f"templates {one} and {other} are listed with both labels, 1 and 0")


def _contradicted(keys: _Indices, values: _Indices) -> int | None:
    """A key that stands there with two values."""
    order = np.lexsort((values, keys))
    keys, values = keys[order], values[order]
    torn = (np.diff(keys) == 0) & (np.diff(values) != 0)
    return int(keys[:-1][torn][0]) if torn.any() else None


def _check_finite(vectors: NDArray[np.float32], source: Path, names: list[str]) -> None:
    """Refuse what no similarity can be computed of, a row for each image of the list."""
    if (row := first_not_finite(vectors)) is not None:
        raise FormatError(
            f"{source}: row {row + 1} ({names[row]}) has a value that is not finite in float32"
        )


def _side(pooled: Templates, templates: _Indices, people: _Indices) -> tuple[Any, _Indices]:
    """Vectors and people of templates, each template once."""
    numbers, first = np.unique(templates, return_index=True)
    return pooled.vectors[pooled.rows(numbers)], people[first]


def _only(lists: Path, pattern: str) -> Path:
    found = sorted(lists.glob(pattern))
    if len(found) != 1:
        files = counted(len(found), "file")
        raise UsageError(f"{lists} has {files} {pattern}; there should be one")
    return found[0]


def _images(path: Path) -> tuple[list[str], _Indices, _Indices]:
    """Names, templates and media of a list ``<image> <template> <medium>``."""
    rows = [line.split() for line in read_text(path).split("\n") if line.strip()]
    try:
        templates, media = (np.array([int(row[k]) for row in rows], np.int64) for k in (1, 2))
    except (ValueError, IndexError, OverflowError):
        templates = media = np.empty(0, np.int64)
    if not len(templates):
        raise FormatError(f"{path}: expected <image> <template> <medium> in each line")
    return [row[0] for row in rows], templates, media


def _numbers(path: Path, columns: int, separator: str | None) -> tuple[_Indices, ...]:
    """The first columns of a list of whole numbers; with commas, below a line of titles."""
    lines = [line for line in read_text(path).split("\n") if line.strip()]
    rows = [line.split(separator)[:columns] for line in lines[1 if separator else 0 :]]
    try:
        table = np.array([[int(cell) for cell in row] for row in rows], np.int64)
    except (ValueError, OverflowError):
        table = np.empty((0, 0), np.int64)
    if table.ndim != 2 or table.shape[1] != columns or not len(table):
        raise FormatError(f"{path}: expected {columns} whole numbers in each line")
    return tuple(table.T)


def _scores(path: Path, count: int) -> NDArray[np.float32]:
    """The detector's scores, the last column of the list of crops."""
    try:
        last = [line.split()[-1] for line in read_text(path).split("\n") if line.strip()]
        scores = np.array(last, np.float32)
    except ValueError:
        raise FormatError(f"{path}: the last column is not a score") from None
    if len(scores) != count:
        images = counted(len(scores), "image")
        raise FormatError(f"{path} lists {images}, the templates have {count:,}")
    return scores


def _vectors(features: Path, names: list[str]) -> NDArray[np.float32]:
    if features.is_file():
        try:
            with reading(features):
                vectors = np.load(features, mmap_mode="r", allow_pickle=False)
        except NPY_DAMAGE as error:
            raise bad_npy(features) from error
        if vectors.ndim != 2 or vectors.dtype.kind != "f" or len(vectors) != len(names):
            raise FormatError(
                f"{features}: expected floating-point numbers of shape ({len(names)}, D), found "
                f"{vectors.dtype} of shape {vectors.shape}"
            )
        with np.errstate(over="ignore"):
            return np.asarray(vectors, np.float32)
    embeddings = read_embeddings(features)
    index = ImageIndex(embeddings.names)
    rows = {name: row for name in names if (row := index.find(PathImage.of(name))) is not None}
    missing = [name for name in names if name not in rows]
    if missing:
        raise UsageError(
            f"{features} lacks {len(missing):,} of {counted(len(names), 'image')}, such as "
            f"{missing[0]}; align makes a crop of every photo with on_no_face='center'",
            "on_no_face='center'",
        )
    taken: dict[int, str] = {}
    for name, row in rows.items():
        if (other := taken.setdefault(row, name)) != name:
            raise FormatError(
                f"{features} has one image, {embeddings.names[row]}, for both {other} and {name} "
                "of the list; align the folder that theirs lie in"
            )
    vectors = embeddings.vectors[[rows[name] for name in names]]
    if embeddings.description.flip == "concat":
        with np.errstate(over="ignore"):
            vectors = np.add(*np.split(vectors, 2, axis=1))
    return np.asarray(vectors, np.float32)
