"""What InsightFace's record files hold, the way back from them, and its verification sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facetool.embedding.crop_check import check_complete, or_any_crop
from facetool.errors import FormatError, ImageError, UsageError
from facetool.evaluation.pair_images import ImageIndex
from facetool.evaluation.pairs import read_pairs
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.durable import sync_file_system
from facetool.files.output_file import check_output
from facetool.images.folder import list_images
from facetool.images.read import decode_image
from facetool.images.records import (
    ImageRecords,
    read_properties,
)
from facetool.images.verification_set import write_bin
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report

_ARCFACE_SIZES = ((112, 112), (112, 96))
_IMAGE_TYPES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"BM": ".bmp", b"RIFF": ".webp"}


def unpack(input: Path, output: Path) -> Report:
    """Write the image files of a ``.rec`` as ``OUTPUT/<label>/<key>.<suffix>``, unchanged.

    Given again, a run that was stopped goes on.

    Raises:
        UsageError: there is none, or ``output`` holds anything else.
        FormatError: the record file is damaged as a whole.
        OutputError: a file cannot be written.
    """
    records = ImageRecords(input)
    if not (records.names or records.unreadable):
        raise UsageError(f"there are no images in {input}")
    _check_nothing_else(output, records)
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
            path = output / f"{name}{suffix or '.img'}"
            if path.exists() and path.read_bytes() != image:
                raise _is_other(path, input)
            with atomic_write(path, durable=False) as file:
                file.write(image)
            report.done("images unpacked")
    if output.is_dir():
        with output_errors(output):
            sync_file_system(output)
    return report


def _check_nothing_else(output: Path, records: ImageRecords) -> None:
    """Refuse a folder with files that are none of the records': nobody could tell them apart."""
    names = set(records.names)
    for path in output.rglob("*"):
        name = path.relative_to(output).with_suffix("").as_posix()
        if path.is_file() and name not in names and not path.name.startswith("."):
            raise _is_other(path, records.place)


def _is_other(path: Path, input: Path) -> UsageError:
    return UsageError(f"{path} is there and is no image of {input}; choose another folder")


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
    damaged = [f"{flaw.what}: {flaw.reason}" for flaw in records.flaws(thorough=True)]
    if not (len(records) or damaged):
        damaged = ["there are no images in it"]
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
        damaged=damaged,
    )


def pack_pairs(
    input: str | Path,
    output: str | Path,
    pairs: str | Path,
    *,
    overwrite: bool = False,
    any_crop: bool = False,
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
    input, output, pairs = Path(input), Path(output), Path(pairs)
    check_output(output, "verification set", lambda _: True, inputs=[pairs])
    if output.exists() and not overwrite:
        raise UsageError(
            f"{output} is there already; choose another name or give overwrite=True",
            "overwrite=True",
        )
    wanted = read_pairs(pairs)
    with or_any_crop():
        described = check_complete(input) is not None
    folder = list_images(input)
    index = ImageIndex(folder.names)
    images = [image for pair in zip(wanted.first, wanted.second, strict=True) for image in pair]
    rows = {image: index.find(image) for image in images}
    missing = sorted(str(image) for image, row in rows.items() if row is None)
    if missing:
        raise UsageError(
            f"{input} lacks {len(missing):,} of the images in {pairs}, such as "
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
