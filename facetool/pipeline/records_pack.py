"""Packing crops into the record files InsightFace trains from."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import cv2
import numpy as np

from facetool.alignment.crop import cut_face
from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96
from facetool.errors import ImageError, UsageError, check_choice
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.durable import sync_file
from facetool.files.image_list import LIST_SUFFIX, ListedImage, read_image_list
from facetool.files.lock import in_turn
from facetool.files.output_file import same_place
from facetool.files.recordio import RecordWriter, index_path
from facetool.files.text import counted
from facetool.images.choices import ENCODINGS, QUALITIES
from facetool.images.folder import list_images
from facetool.images.inputs import report_unread
from facetool.images.read import RGBImage, decode_image, read_file
from facetool.images.records import RECORD_SUFFIX, Properties, format_record, read_properties
from facetool.jobs.ordered_map import ordered_map
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report

_IMAGES_AHEAD = 256
"""Images that are decoded, or wait for it, while one is written."""

_MOST_KEYS = 1 << 24  # labels are float32, and keys stand in labels
_CROPS = {(crop.height, crop.width): crop for crop in (ARCFACE_112, ARCFACE_112X96)}
_FLAGS = {"jpg": cv2.IMWRITE_JPEG_QUALITY, "png": cv2.IMWRITE_PNG_COMPRESSION}


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """How crops are packed.

    Attributes:
        encoding: re-encode all crops, as ``jpg`` or ``png``; default: files of crops as they
            are, and crops that are cut from a list's photos as ``jpg``.
        quality: of a jpg, 1 to 100; of a png its compression, 0 to 9. Default: 95, or 3.
        shuffle: seed of a random order, in the layout that ``shuffle_rec.py`` of arcface_torch
            writes: no header record, keys from 0, a single label. Default: one identity after
            another, in the layout of ``face2rec2.py``.
        overwrite: replace files that are there.

    Raises:
        UsageError: a value is out of range.
    """

    encoding: str | None = None
    quality: int | None = None
    shuffle: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.encoding is not None:
            check_choice("encoding", self.encoding, ENCODINGS)
        _, least, most = QUALITIES[self.encoding or "jpg"]
        if self.quality is not None and not least <= self.quality <= most:
            raise UsageError(f"quality: give {least} to {most}", "quality")


class _Packed(NamedTuple):
    """An image that is ready to be written."""

    image: ListedImage
    data: bytes
    height: int
    width: int


def pack(input: Path, output: Path, settings: PackSettings | None = None) -> Report:
    """Pack aligned crops into ``NAME.rec``, ``NAME.idx``, ``NAME.lst`` and ``property``.

    The layout is that of InsightFace's ``face2rec2.py``: the bytes of the image files as they
    are, identities numbered in the order of their folders' names, a header record with each
    identity's range. Of a list, labels and order are the list's own; photos in it that are not
    aligned are cut out by its points, to the size that ``property`` beside it states, or 112x112.
    Images that cannot be decoded, or differ in size from the first, are left out and reported.

    Args:
        input: ``FOLDER/<person>/<image>``, or a list, see :mod:`facetool.files.image_list`.
        output: the ``.rec`` file; the others go beside.
        settings: default: those of :class:`PackSettings`.

    Raises:
        UsageError: there is nothing to pack, the output is there already, or a ``property`` of
            another set is.
        FormatError: the list, or the ``property`` beside it, is none.
        OutputError: a file cannot be written.
    """
    if output.suffix != RECORD_SUFFIX:
        raise UsageError(f"{output}: the name of a record file ends in {RECORD_SUFFIX}")
    with in_turn(output):
        return _pack(input, output, settings or PackSettings())


def _pack(input: Path, output: Path, settings: PackSettings) -> Report:
    _check_new(input, output, settings)
    listed = input.suffix.lower() == LIST_SUFFIX and input.is_file()
    if not listed and settings.quality is not None and settings.encoding is None:
        raise UsageError(
            "image files of a folder are packed as they are; quality goes with encoding",
            "quality",
            "encoding",
        )
    report = Report()
    images, places = _of_list(input) if listed else _of_folder(input, report)
    if settings.shuffle is not None:
        order = np.random.default_rng(settings.shuffle).permutation(len(images)).tolist()
        images, places = [images[row] for row in order], [places[row] for row in order]
    stated = read_properties(input) if listed else None
    size = (stated.height, stated.width) if stated else (0, 0)
    kept = None if settings.overwrite else read_properties(output)
    own_list = listed and same_place(input, output.with_suffix(LIST_SUFFIX))
    beside = [index_path(output)]
    if not own_list:
        beside.append(output.with_suffix(LIST_SUFFIX))
    if kept is None:
        beside.append(output.with_name("property"))
    with ExitStack() as files:
        there = [] if settings.overwrite else [path for path in beside if path.exists()]
        if not settings.overwrite:
            new = [path for path in (output, *beside) if path not in there]
            files.enter_context(_all_or_none(new))
        written = _RecordFiles(
            files,
            output,
            beside,
            listed=listed,
            shuffled=settings.shuffle is not None,
        )
        for one in _of_one_size(_loaded(images, places, size, settings, report), stated, report):
            written.add(one)
        if not written.images:
            raise UsageError(f"none of the images in {input} can be read")
        packed = written.finish()
        for path in there:
            if not written.would_write(path):
                raise _is_there(path)
        if kept is not None:
            _check_fits(kept, packed, input, output, listed)
        # No index ever stands beside the records of another run.
        with output_errors(output):
            output.unlink(missing_ok=True)
    report.done("images packed", written.images)
    report.done("identities", written.identities)
    return report


@contextmanager
def _all_or_none(paths: Sequence[Path]) -> Iterator[None]:
    """Remove files that were not there before if writing them ends in an error."""
    try:
        yield
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


class _RecordFiles:
    """A record file and those beside it, written image by image.

    Args:
        files: closes them.
        output: the ``.rec`` file.
        beside: those of its index, its list and ``property`` that are to be written.
        listed: identities have the numbers of the images' list.
        shuffled: whether to write the layout of ``shuffle_rec.py`` or that of ``face2rec2.py``.
    """

    def __init__(
        self,
        files: ExitStack,
        output: Path,
        beside: Sequence[Path],
        *,
        listed: bool,
        shuffled: bool,
    ) -> None:
        self._files: dict[Path, IO[Any]] = {}

        def opened(path: Path) -> IO[str]:
            self._files[path] = files.enter_context(
                atomic_write(path, "w", encoding="utf-8", errors="surrogateescape", newline="")
            )
            return self._files[path]

        # The files take their names in reverse order: the index first, and the records, whose name
        # says that all is done, last.
        self._files[output] = records = files.enter_context(atomic_write(output))
        stated, listing = output.with_name("property"), output.with_suffix(LIST_SUFFIX)
        self._property = opened(stated) if stated in beside else None
        self._list = opened(listing) if listing in beside else None
        self._writer = RecordWriter(records, opened(index_path(output)))
        self._listed, self._shuffled = listed, shuffled
        self._first = self._key = 0 if shuffled else 1
        self._starts: list[int] = []
        self._numbers: dict[int, int] = {}
        self._last = -1
        self._size = (0, 0)

    @property
    def images(self) -> int:
        """Number of images written."""
        return self._key - self._first

    @property
    def identities(self) -> int:
        """Number of people whose images were written."""
        return len(self._numbers)

    def add(self, one: _Packed) -> None:
        """Write an image; all have the size of the first."""
        key, label = self._key, self._label(one.image.label)
        if label != self._last:
            self._starts.append(key)
            self._last = label
        values = (label,) if self._shuffled else (label, int(one.image.aligned))
        self._writer.write(key, format_record(values, key, one.data, vector=not self._shuffled))
        if self._list is not None:
            self._list.write(f"1\t{one.image.path}\t{label}\n")
        self._size = one.height, one.width
        self._key += 1

    def finish(self) -> Properties:
        """Write what stands after the images, and say what was packed."""
        if not self._shuffled:
            _write_ranges(self._writer, [*self._starts, self._key])
        classes = max(self._numbers) + 1 if self._listed else len(self._numbers)
        if self._property is not None:
            self._property.write("{},{},{}".format(classes, *self._size))
        # Where the disk is full that is said now, before any file has its name.
        for path, file in self._files.items():
            with output_errors(path):
                file.flush()
                sync_file(Path(file.name))
        return Properties(classes, *self._size)

    def would_write(self, path: Path) -> bool:
        """Whether a file that is there holds, to the last byte, what is to take its place."""
        return filecmp.cmp(self._files[path].name, path, shallow=False)

    def _label(self, label: int) -> int:
        """An identity's number; a folder of which nothing can be read has none."""
        number = self._numbers.setdefault(label, len(self._numbers))
        return label if self._listed or self._shuffled else number


def _of_one_size(
    loaded: Iterable[_Packed], stated: Properties | None, report: Report
) -> Iterator[_Packed]:
    """Images as large as ``property`` states, or else as the first; others are reported."""
    size = (stated.height, stated.width) if stated else None
    for one in loaded:
        found = one.height, one.width
        size = size or found
        if found == size:
            yield one
        else:
            report.failed(
                one.image.path,
                "{}x{} pixels, where {} has {}x{}".format(
                    *found, "property" if stated else "the first image", *size
                ),
            )


def _check_new(input: Path, output: Path, settings: PackSettings) -> None:
    if settings.overwrite:
        return
    if output.exists():
        raise _is_there(output)
    listing = output.with_suffix(LIST_SUFFIX)
    # Beside an index without records it may be what a run left that was killed at its very end;
    # both are compared with what is packed now.
    if listing.exists() and not (same_place(input, listing) or index_path(output).exists()):
        raise _is_there(listing)
    properties = output.with_name("property")
    others = sorted(path.name for path in output.parent.glob(f"*{RECORD_SUFFIX}"))
    if properties.exists() and others:
        raise UsageError(
            f"{properties} is that of {others[0]}; choose another folder or give overwrite=True",
            "overwrite=True",
        )


def _is_there(path: Path) -> UsageError:
    return UsageError(
        f"{path} is there already; choose another name or give overwrite=True", "overwrite=True"
    )


def _check_fits(
    kept: Properties, packed: Properties, input: Path, output: Path, listed: bool
) -> None:
    """Refuse a ``property`` that says something else than was packed; a list may lack identities.

    Raises:
        UsageError: so it does.
    """
    same_size = (kept.height, kept.width) == (packed.height, packed.width)
    enough = kept.classes >= packed.classes if listed else kept.classes == packed.classes
    if not (same_size and enough):
        raise UsageError(
            f"{output.with_name('property')} states "
            f"{counted(kept.classes, 'identity', 'identities')} and "
            f"{kept.width}x{kept.height} pixels, {input} has {packed.classes:,} and "
            f"{packed.width}x{packed.height}; choose another folder, or replace it with "
            "overwrite=True",
            "overwrite=True",
        )


def _check_count(images: int, input: Path) -> None:
    if not images:
        raise UsageError(f"there are no images in {input}")
    if images >= _MOST_KEYS // 2:
        raise UsageError(f"{counted(images, 'image')}: more than a record file can number")


def _of_folder(root: Path, report: Report) -> tuple[list[ListedImage], list[Path]]:
    """The images of a folder, person by person, and where they lie."""
    folder = list_images(root)
    _check_count(len(folder.names), root)
    report_unread(folder, report)
    names = sorted(folder.names, key=lambda name: (name.rpartition("/")[0], name))
    people = sorted({name.rpartition("/")[0] for name in names})
    number = {person: place for place, person in enumerate(people)}
    images = [ListedImage(name, number[name.rpartition("/")[0]]) for name in names]
    return images, [folder.root / name for name in names]


def _of_list(path: Path) -> tuple[list[ListedImage], list[Path]]:
    """The images of a list, and where they lie: from here, or else from where the list is."""
    images = read_image_list(path)
    _check_count(len(images), path)
    beside = path.parent
    places = [Path(image.path) for image in images]
    return images, [place if place.exists() else beside / place for place in places]


def _loaded(
    images: Sequence[ListedImage],
    places: Sequence[Path],
    size: tuple[int, int],
    settings: PackSettings,
    report: Report,
) -> Iterator[_Packed]:
    """What can be packed, in order; the rest is reported."""

    def load(image: ListedImage, place: Path) -> _Packed | str:
        try:
            return _load(image, place, size, settings)
        except ImageError as error:
            return str(error)

    with (
        ThreadPoolExecutor(available_cores()) as pool,
        progress_bar("pack", len(images)) as bar,
    ):
        loading = ordered_map(
            lambda one: (one[0], pool.submit(load, *one)),
            lambda started: (started[0], started[1].result()),
            zip(images, places, strict=True),
            _IMAGES_AHEAD,
        )
        for image, loaded in loading:
            bar.update()
            if isinstance(loaded, str):
                report.failed(image.path, loaded)
            else:
                yield loaded


def _load(
    image: ListedImage, place: Path, size: tuple[int, int], settings: PackSettings
) -> _Packed:
    """An image, cut out and encoded where that is wanted; ImageError where it cannot be."""
    data = read_file(place)
    pixels = decode_image(data)
    encoding = settings.encoding
    if not image.aligned:
        if image.points is None:
            raise ImageError("it is not aligned, and the list has no five points of it")
        crop = _CROPS.get(size if any(size) else (ARCFACE_112.height, ARCFACE_112.width))
        if crop is None:
            raise ImageError("faces are cut out at 112x112 or 96x112, not as property has it")
        pixels = cut_face(pixels, image.points, crop)
        encoding = encoding or "jpg"
    if encoding:
        data = _encode(pixels, encoding, settings.quality)
    height, width = pixels.shape[:2]
    return _Packed(image, data, height, width)


def _encode(pixels: RGBImage, encoding: str, quality: int | None) -> bytes:
    usual = QUALITIES[encoding][0]
    flags = [_FLAGS[encoding], usual if quality is None else quality]
    done, data = cv2.imencode(f".{encoding}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise ImageError(f"it cannot be encoded as {encoding}")
    return data.tobytes()


def _write_ranges(writer: RecordWriter, bounds: Sequence[int]) -> None:
    """The header record, key 0, then a record for each identity with its keys."""
    end = bounds[-1]
    writer.write(0, format_record((end, end + len(bounds) - 1), 0))
    for number, (first, last) in enumerate(pairwise(bounds)):
        writer.write(end + number, format_record((first, last), end + number))
