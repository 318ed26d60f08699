"""Packing image folders into the files InsightFace trains and verifies with, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from facetool.embedding.crop_check import check_complete
from facetool.errors import FormatError, ImageError, UsageError
from facetool.evaluation.pair_images import ImageIndex
from facetool.evaluation.pairs import read_pairs
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.durable import sync_file_system
from facetool.files.recordio import RecordWriter, index_path
from facetool.images.folder import ImageFolder, list_images
from facetool.images.inputs import unsupported_files
from facetool.images.read import decode_image, read_file
from facetool.images.records import (
    SUFFIX,
    ImageRecords,
    format_record,
    read_properties,
)
from facetool.images.verification_set import write_bin
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report

_IMAGES_AHEAD = 256
"""Images that are decoded, or wait for it, while one is written."""

_MOST_KEYS = 1 << 24  # labels are float32, and keys stand in labels
_ARCFACE_SIZES = ((112, 112), (112, 96))
_IMAGE_TYPES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp", b"RIFF": ".webp"}


def pack(input: Path, output: Path, *, overwrite: bool = False) -> Report:
    """Pack a folder of aligned crops into ``NAME.rec``, ``NAME.idx``, ``NAME.lst``, ``property``.

    The layout is that of InsightFace's ``face2rec2.py``: the bytes of the image files as they
    are, identities numbered in the order of their folders' names, a header record with each
    identity's range. Images that cannot be decoded, or differ in size from the first, are left
    out and reported.

    Args:
        input: ``FOLDER/<person>/<image>``.
        output: the ``.rec`` file; the others go beside.
        overwrite: replace a file that is there.

    Raises:
        UsageError: there is nothing to pack, or the output is there already.
        OutputError: a file cannot be written.
    """
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: the name of a record file ends in {SUFFIX}")
    if output.exists() and not overwrite:
        raise UsageError(
            f"{output} is there already; choose another name or give overwrite=True",
            "overwrite=True",
        )
    folder = list_images(input)
    if not folder.names:
        raise UsageError(f"there are no images in {input}")
    if len(folder.names) >= _MOST_KEYS // 2:
        raise UsageError(f"{len(folder.names):,} images are more than a record file can number")
    report = Report()
    for name, reason in folder.unreadable:
        report.failed(name, reason)
    for skipped in unsupported_files(folder):
        report.failed(*skipped)
    with ExitStack() as files:
        # The files take their names in reverse order: the records, whose name says that all is
        # done, after the others.
        records = files.enter_context(atomic_write(output))
        text: dict[str, Any] = {
            "mode": "w",
            "encoding": "utf-8",
            "errors": "surrogateescape",
            "newline": "",
        }
        properties = files.enter_context(atomic_write(output.with_name("property"), **text))
        listing = files.enter_context(atomic_write(output.with_suffix(".lst"), **text))
        index = files.enter_context(atomic_write(index_path(output), **text))
        writer = RecordWriter(records, index)
        starts: dict[str, int] = {}
        key, size = 1, (0, 0)
        for name, data, found in _decodable(folder, report):
            if key > 1 and found != size:
                report.failed(
                    name, "{}x{} pixels, where the first image has {}x{}".format(*found, *size)
                )
                continue
            size = found
            starts.setdefault(name.rpartition("/")[0], key)
            label = len(starts) - 1
            writer.write(key, format_record((label, 1), key, data))
            listing.write(f"1\t{name}\t{label}\n")
            key += 1
        if not starts:
            raise UsageError(f"none of the {len(folder.names)} images in {input} can be read")
        _write_ranges(writer, [*starts.values(), key])
        properties.write(f"{len(starts)},{size[0]},{size[1]}")
        report.done("images packed", key - 1)
        report.done("identities", len(starts))
    return report


def _write_ranges(writer: RecordWriter, bounds: Sequence[int]) -> None:
    """The header record, key 0, then a record for each identity with its keys."""
    end = bounds[-1]
    writer.write(0, format_record((end, end + len(bounds) - 1), 0))
    for number, (first, last) in enumerate(pairwise(bounds)):
        writer.write(end + number, format_record((first, last), end + number))


def _decodable(folder: ImageFolder, report: Report) -> Iterator[tuple[str, bytes, tuple[int, int]]]:
    """Name, bytes, height and width of each image that can be decoded, person by person."""

    def load(name: str) -> tuple[bytes, tuple[int, int]] | str:
        try:
            data = read_file(folder.root / name)
            height, width = decode_image(data).shape[:2]
        except ImageError as error:
            return str(error)
        return data, (height, width)

    names = sorted(folder.names, key=lambda name: (name.rpartition("/")[0], name))
    with (
        ThreadPoolExecutor(available_cores()) as pool,
        progress_bar("pack", len(names)) as bar,
    ):
        loading = ordered_map(
            lambda name: (name, pool.submit(load, name)),
            lambda started: (started[0], started[1].result()),
            names,
            _IMAGES_AHEAD,
        )
        for name, loaded in loading:
            bar.update()
            if isinstance(loaded, str):
                report.failed(name, loaded)
            else:
                yield name, *loaded


def unpack(input: Path, output: Path) -> Report:
    """Write the image files of a ``.rec`` as ``OUTPUT/<label>/<key>.<suffix>``, unchanged.

    Raises:
        FormatError: the record file is damaged as a whole.
        OutputError: a file cannot be written.
    """
    records = ImageRecords(input)
    report = Report()
    for name, reason in records.unreadable:
        report.failed(name, reason)
    with progress_bar("unpack", len(records)) as bar:
        for name in records.names:
            bar.update()
            try:
                image = records.record(int(name.rpartition("/")[2])).image
            except ImageError as error:
                report.failed(name, str(error))
                continue
            suffix = next((s for start, s in _IMAGE_TYPES.items() if image.startswith(start)), "")
            with atomic_write(output / f"{name}{suffix or '.img'}", durable=False) as file:
                file.write(image)
            report.done("images unpacked")
    if output.is_dir():
        with output_errors(output):
            sync_file_system(output)
    return report


@dataclass(frozen=True, kw_only=True)
class RecordsInfo:
    """What a ``.rec`` file holds.

    Attributes:
        file: its path.
        images: records that hold an image.
        identities: different labels.
        images_per_identity: ``least``, ``mean`` and ``most``.
        index: whether an ``.idx`` lies beside it.
        header_record: whether its first record says which keys are whose.
        property: what ``property`` beside it says; None without one.
        without_label: images that nobody's identity is known of.
        damaged: what is wrong, a sentence each.
    """

    file: Path
    images: int
    identities: int
    images_per_identity: Mapping[str, float]
    index: bool
    header_record: bool
    property: Mapping[str, Any] | None
    without_label: int
    damaged: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "file": str(self.file)}


def describe(path: Path) -> RecordsInfo:
    """Look at every record of a ``.rec`` file.

    Raises:
        FormatError: the file is damaged as a whole.
    """
    records = ImageRecords(path)
    labels = records.labels[records.labels >= 0]
    per_identity = np.unique(labels, return_counts=True)[1]
    properties = read_properties(path)
    return RecordsInfo(
        file=path,
        images=len(records),
        identities=len(per_identity),
        images_per_identity={
            "least": int(per_identity.min(initial=len(records))),
            "mean": float(per_identity.mean()) if len(per_identity) else 0.0,
            "most": int(per_identity.max(initial=0)),
        },
        index=records.indexed,
        header_record=len(records.ranges) > 0,
        property=properties._asdict() if properties else None,
        without_label=len(records) - len(labels),
        damaged=[f"{flaw.what}: {flaw.reason}" for flaw in records.flaws(thorough=True)],
    )


def pack_pairs(
    input: Path, output: Path, pairs: Path, *, overwrite: bool = False, any_crop: bool = False
) -> Report:
    """Make a ``.bin`` verification set, as InsightFace's ``build_eval_pack.py`` does.

    Args:
        input: folder of aligned crops, ``<person>/<person>_NNNN.<suffix>`` as in LFW.
        output: the ``.bin`` file.
        pairs: in the format of LFW's ``pairs.txt``.
        overwrite: replace a file that is there.
        any_crop: take images that nothing shows to be crops.

    Raises:
        UsageError: an image is missing: a set must be complete, its folds go by position; or
            nothing shows that the images are crops.
        FormatError: an image cannot be decoded.
        OutputError: the file cannot be written.
    """
    if output.exists() and not overwrite:
        raise UsageError(
            f"{output} is there already; choose another name or give overwrite=True",
            "overwrite=True",
        )
    wanted = read_pairs(pairs)
    described = check_complete(input) is not None
    folder = list_images(input)
    index = ImageIndex(folder.names)
    images = [image for pair in zip(wanted.first, wanted.second, strict=True) for image in pair]
    rows = {image: index.find(image) for image in images}
    missing = sorted(str(image) for image, row in rows.items() if row is None)
    if missing:
        raise UsageError(
            f"{input} lacks {len(missing):,} of the images that {pairs} names, such as "
            f"{missing[0]}; align makes a crop of every photo with on_no_face='center'",
            "on_no_face='center'",
        )
    names = {image: folder.names[row] for image, row in rows.items() if row is not None}
    loaded: dict[str, bytes] = {}
    for name in sorted(set(names.values())):
        loaded[name] = (folder.root / name).read_bytes()
        try:
            height, width = decode_image(loaded[name]).shape[:2]
        except ImageError as error:
            raise FormatError(f"{folder.root / name}: {error}") from error
        if not (described or any_crop or (height, width) in _ARCFACE_SIZES):
            raise UsageError(
                f"{folder.root / name} has {width}x{height} pixels, and {input} no align.json: "
                "nothing says that it is a crop; align it first (or insist with any_crop=True)",
                "any_crop=True",
            )
    with atomic_write(output) as file:
        write_bin(file, [loaded[names[image]] for image in images], wanted.trials.same.tolist())
    report = Report()
    report.done("pairs", len(wanted))
    return report
