"""Embeddings as feature files for MegaFace's own tools, cleaned of noise where wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, UsageError
from facetool.evaluation.noise_lists import read_noise_lists, replace_noisy
from facetool.evaluation.pair_images import without_suffix
from facetool.files.align_manifest import ALIGN_CSV, read_manifest
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.durable import sync_file_system
from facetool.files.embeddings import Embeddings
from facetool.files.megaface_features import read_features, read_listed_images, write_feature
from facetool.files.names_below import leads_out
from facetool.files.output_file import check_folder
from facetool.files.text import counted, same_spelling
from facetool.jobs.progress import listener
from facetool.jobs.report import Report

NOISE_MARK = 100.0
"""What ``remove_noises.py`` puts behind a noisy distractor's embedding, and 0 behind all others."""


def write_features(
    inputs: Sequence[Path],
    output: Path,
    *,
    algorithm: str = "facetool",
    crops: Path | None = None,
    listed: Path | None = None,
    remove: Sequence[Path] = (),
    distractors: bool = False,
) -> Report:
    """Write embeddings as MegaFace's feature files, ``<photo>_<algorithm>.bin`` each.

    As InsightFace's ``gen_megaface.py`` does, embeddings are scaled to unit length, and those of
    several networks concatenated, scaled again. Files are named after the photos, as
    the development kit's lists name them, where ``align.csv`` of the crops tells which they are.

    With ``remove`` the files are those of ``remove_noises.py``: one number more, 0. Listed images
    of people in question get the centre of their person's other embeddings; listed distractors
    get ``NOISE_MARK`` as that number, which puts them out of everybody's reach. That script's
    random numbers, up to 0.001 a coordinate of the sum, are left out.

    With ``listed`` the files are those that MegaFace's tools will ask for: of the images in that
    list and no others, under the names that stand there, whatever suffix the crops or photos have.

    Args:
        inputs: represent folders, or feature files, of the same images by different networks.
        output: the folder.
        algorithm: last part of the files' names.
        crops: folder of the crops, if not the one that ``represent.json`` tells.
        listed: template list of the development kit, or a text with a path per line.
        remove: noise lists.
        distractors: the images are distractors; without it, those of people in question.

    Raises:
        FormatError: an input is damaged.
        UsageError: the inputs are not of the same images, none is in the list, an image's name
            would lead out of the output folder, or there are distractors and nothing to remove.
        OutputError: a file cannot be written.
    """
    if distractors and not remove:
        raise UsageError("distractors says how to remove noise: it goes with remove", "distractors")
    check_folder(output, *inputs)
    sources = [read_features(path) for path in inputs]
    names = sources[0].names
    vectors = _joined(inputs, sources)
    report = Report()
    photos = _photos(sources[0], crops)
    if photos is None and any(one.description.input for one in sources):
        listener().remark(
            str(inputs[0]),
            f"the crops' {ALIGN_CSV} is not there, so files are named after crops, not photos; "
            "crops=FOLDER says where it is",
        )
    files = list(names) if photos is None else [photos.get(name, name) for name in names]
    if listed is not None:
        files, rows = _listed(listed, files, inputs[0], report)
        names, vectors = [names[row] for row in rows], vectors[rows]
    keep = np.ones(len(names), bool)
    if remove:
        noise = read_noise_lists(remove)
        noisy = noise.find(files)
        noise.remark_unused()
        mark = np.zeros((len(vectors), 1), np.float32)
        if distractors:
            mark[noisy] = NOISE_MARK
            report.done("distractors put out of reach", int(noisy.sum()))
        else:
            people = [name.rpartition("/")[0] for name in names]
            labels = np.unique(people, return_inverse=True)[1].astype(np.int64)
            vectors, keep = replace_noisy(vectors, labels, noisy)
            report.done("images replaced by their person's centre", int((noisy & keep).sum()))
        vectors = np.hstack([vectors, mark])
    written: set[str] = set()
    for file, vector, kept in zip(files, vectors, keep, strict=True):
        if not kept:
            report.failed(file, "all images of this person are listed as noise: there is no centre")
        elif file in written:
            report.failed(file, "another face of this photo was written: MegaFace has one a photo")
        else:
            _write(output, inputs[0], file, algorithm, vector)
            written.add(file)
            report.done("feature files written")
    if output.is_dir():
        with output_errors(output):
            sync_file_system(output)
    return report


def _listed(
    path: Path, files: Sequence[str], source: Path, report: Report
) -> tuple[list[str], list[int]]:
    """Names as a list has them, and the rows they are in; what has no embedding is reported.

    As InsightFace's tools do, a list is also understood whose paths begin further up.
    """
    row: dict[str, int] = {}
    for number, file in enumerate(files):
        row.setdefault(without_suffix(same_spelling(file)), number)
    images = read_listed_images(path)
    found: dict[str, int] = {}
    missing = []
    for image in images:
        for name in _endings(image):
            if (key := without_suffix(same_spelling(name))) in row:
                found[name] = row[key]
                break
        else:
            missing.append(image)
    if not found:
        raise UsageError(
            f"{path} lists {counted(len(images), 'image')} such as {images[0]}, none of which is "
            f"in {source}, where images are named like {files[0]}"
        )
    for image in missing:
        report.failed(image, "no embedding: MegaFace's tools stop where a listed image has none")
    if left_out := len(files) - len(set(found.values())):
        report.done("not in the list", left_out)
    return list(found), list(found.values())


def _endings(path: str) -> list[str]:
    """A path, and what is left of it without its first folders; a folder stays."""
    parts = path.strip("/").split("/")
    return ["/".join(parts[first:]) for first in range(max(1, len(parts) - 1))]


def _write(
    output: Path, source: Path, name: str, algorithm: str, vector: NDArray[np.float32]
) -> None:
    if leads_out(name):
        raise UsageError(f"{source}: the image name {name} is not relative to a folder")
    with atomic_write(output / f"{name}_{algorithm}.bin", durable=False) as file:
        write_feature(file, vector)


def _joined(paths: Sequence[Path], sources: Sequence[Embeddings]) -> NDArray[np.float32]:
    """The embeddings of all networks side by side, each and the whole at unit length."""
    names = sources[0].names
    parts = [_at_unit_length(sources[0].vectors)]
    for path, source in zip(paths[1:], sources[1:], strict=True):
        row = {name: number for number, name in enumerate(source.names)}
        if len(row) != len(names) or any(name not in row for name in names):
            raise UsageError(
                f"{paths[0]} and {path} are not of the same images: represent the same crops "
                "with each network"
            )
        parts.append(_at_unit_length(source.vectors[[row[name] for name in names]]))
    return _at_unit_length(np.hstack(parts)) if len(parts) > 1 else parts[0]


def _at_unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """In float32, as a million of them take their gigabytes; zero rows stay as they are.

    Lengths are in float64: the squares of finite numbers need not be finite in float32.
    """
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    unit = np.empty_like(vectors)
    return np.divide(vectors, np.where(norms == 0, 1.0, norms), out=unit, casting="same_kind")


def _photos(source: Embeddings, crops: Path | None) -> dict[str, str] | None:
    """The photo of each crop by the crop's name; None where nothing tells."""
    stated = source.description.input
    folder = crops if crops is not None else Path(stated) if stated else None
    if folder is None:
        return None
    manifest = folder / ALIGN_CSV
    if not manifest.is_file():
        if crops is not None:
            raise FormatError(f"{crops} has no {ALIGN_CSV}: facetool align writes it beside crops")
        return None
    return {row.output: row.input for row in read_manifest(manifest) if row.output}
