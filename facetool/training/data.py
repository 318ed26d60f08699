"""Training data: a folder or ``.rec`` file of aligned crops, samplers, and a loader in threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facetool.errors import FormatError, ImageError, UsageError
from facetool.files.text import counted, same_spelling
from facetool.images.inputs import open_images, unsupported_files
from facetool.images.read import RGBImage, decode_image, read_file
from facetool.images.records import NO_LABEL, Flaw, ImageRecords
from facetool.jobs.ordered_map import ordered_map

ImageIndices = NDArray[np.int64]

MOST_FLAWS = 0.01
"""Share of a ``.rec`` file's records, or of its identities, that may be missing or unfit."""
_BATCHES_AHEAD = 4
_CHUNK = 16
"""Images a thread takes at a time."""


class TrainingSet:
    """Aligned crops of one size with their identities. Safe in threads.

    Of an image folder the identity is the folder an image is in; of a ``.rec`` file it is the
    label, which the header's ranges give without reading each record. Images without one are
    left out.

    Args:
        path: folder ``<person>/<crop>``, or ``.rec`` file.

    Attributes:
        path: the folder or file.
        labels: int64 (N,), identity of each image, 0…classes - 1.
        identities: name of each identity: its folder, or its label in the ``.rec`` file.
        unlabelled: images left out.
        flaws: what is left out or contradictory, with the reason.
        size: height and width, of the first image that can be read.

    Raises:
        UsageError: ``path`` is neither, or holds no image with an identity.
        FormatError: the file cannot be read, or none of the images, or more than ``MOST_FLAWS``
            of a ``.rec`` file is missing or unfit.
    """

    def __init__(self, path: Path) -> None:
        source = open_images(path)
        self.path = source.path if isinstance(source, ImageRecords) else path
        self._records = source if isinstance(source, ImageRecords) else None
        if self._records is not None:
            self.flaws = self._records.flaws()
            _check_flaws(self.path, self.flaws)
            known = self._records.labels != NO_LABEL
            self._keys = self._records.keys[known]
            people, numbers = np.unique(self._records.labels[known], return_inverse=True)
            self.identities = tuple(str(label) for label in people)
            self.unlabelled = len(known) - len(numbers)
        else:
            self._names = [name for name in source.names if "/" in name]
            folders = [same_spelling(name.rpartition("/")[0]) for name in self._names]
            self.identities = tuple(sorted(set(folders)))
            number = {folder: place for place, folder in enumerate(self.identities)}
            numbers = np.fromiter((number[folder] for folder in folders), np.int64, len(folders))
            self.unlabelled = len(source.names) - len(numbers)
            self.flaws = [
                Flaw(name, reason, number, 0.0)
                for name, reason, number in unsupported_files(source.unsupported)
            ]
            self.flaws += [Flaw(name, reason, 1, 0.0) for name, reason in source.unreadable]
            if self.unlabelled:
                what = f"{counted(self.unlabelled, 'image')} directly in {path}"
                self.flaws.append(Flaw(what, "in no person's folder", self.unlabelled, 0.0))
        if not len(numbers):
            raise UsageError(f"{path} holds no images with identities (PERSON/IMAGE)")
        self.labels: ImageIndices = numbers.astype(np.int64)
        self.size = self._first_size()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Number of identities."""
        return len(self.identities)

    def name(self, index: int) -> str:
        """How to call an image in a message."""
        if self._records is not None:
            return f"record {self._keys[index]}"
        return self._names[index]

    def read(self, index: int) -> RGBImage:
        """An image, RGB uint8 (H, W, 3).

        Raises:
            ImageError: it cannot be read, or is of another size.
        """
        image = self._decode(index)
        if image.shape[:2] != self.size:
            raise ImageError(f"{_text(image.shape)} pixels where others have {_text(self.size)}")
        return image

    def substitutes(self, index: int) -> Iterator[int]:
        """All other images in the order in which they may stand in for one.

        Those of the same identity come first, each time the ones after it before the ones before.
        """
        later = np.arange(index + 1, index + len(self)) % len(self)
        same = self.labels[later] == self.labels[index]
        yield from later[same].tolist()
        yield from later[~same].tolist()

    def _decode(self, index: int) -> RGBImage:
        if self._records is not None:
            return decode(self._records.record(int(self._keys[index])).image)
        return decode(read_file(self.path / self._names[index]))

    def _first_size(self) -> tuple[int, int]:
        for index in range(len(self)):
            try:
                height, width, _ = self._decode(index).shape
            except ImageError:
                continue
            return height, width
        raise FormatError(f"none of the images of {self.path} can be read")


def _check_flaws(path: Path, flaws: Sequence[Flaw]) -> None:
    """Raise where a file is so damaged that what is left is another training set."""
    worst = [flaw for flaw in flaws if flaw.share > MOST_FLAWS]
    if worst:
        told = "; ".join(f"{flaw.what}: {flaw.reason}" for flaw in worst)
        raise FormatError(f"{path}: more than {MOST_FLAWS:.0%} is missing or unfit: {told}")


def decode(data: bytes) -> RGBImage:
    """Decode an image as :func:`~facetool.images.read.decode_image` does, the usual ones faster.

    The pixels are the same, but for CMYK, which is rounded otherwise. OpenCV lets other threads
    run while it decodes. Some of its versions fill truncated images with grey, so only files
    with an end are given to it.

    Raises:
        ImageError: it is no image, or damaged.
    """
    tail = data[-64:]
    whole_jpeg = data.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in tail
    whole_png = data.startswith(b"\x89PNG") and b"IEND" in tail
    if whole_jpeg or whole_png:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is not None:
            return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    return decode_image(data)


def _text(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"


class Sampler(ABC):
    """Batches of image indices, the same for the same seed on every machine.

    With several processes each takes every ``world_size``-th batch, all of them equally many.

    Args:
        seed: of the order.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(self, seed: int, rank: int, world_size: int) -> None:
        self.seed = seed
        self.rank = rank
        self.world_size = world_size

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch, in this process."""

    @abstractmethod
    def epoch(self, number: int, start: int = 0) -> Iterator[ImageIndices]:
        """This process's batches of an epoch, int64 (N,) each, from batch ``start`` on."""

    def stream(self, start: int = 0) -> Iterator[tuple[int, ImageIndices]]:
        """This process's batches without end, each with its epoch.

        Args:
            start: batches of this process to pass over, from the first of epoch 0 on.
        """
        first, within = divmod(start, len(self))
        for number in count(first):
            for batch in self.epoch(number, within):
                yield number, batch
            within = 0

    def _random(self, *place: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *place))


class PlainSampler(Sampler):
    """Every epoch shuffles all images; those that fill no whole batch wait for another epoch.

    Where there are fewer than one batch for each process, images are repeated.

    Args:
        labels: int64 (N,), identity of each image.
        batch_size: images of a batch.
        seed: of the order.
        rank: of this process.
        world_size: number of processes.
    """

    def __init__(
        self, labels: ImageIndices, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__(seed, rank, world_size)
        self._images = len(labels)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return max(self._images // (self.batch_size * self.world_size), 1)

    def epoch(self, number: int, start: int = 0) -> Iterator[ImageIndices]:
        """See :meth:`Sampler.epoch`."""
        order = self._random(number).permutation(self._images)
        shape = (len(self), self.world_size, self.batch_size)
        yield from np.resize(order, shape)[start:, self.rank]


class IdentitySampler(Sampler):
    """Images of some people, for losses that compare the images of a batch.

    As in OpenFace 0.2: some people at random, and of each as many images at random as wanted or
    as there are, people one after another. People with a single image are left out, since they
    give no pair. In turn all people come before any comes again; an epoch has as many batches as
    would show every image once, or every person.

    Args:
        labels: int64 (N,), identity of each image.
        people: people of a batch, fewer where there are fewer.
        images: at most this many of each, at least 2.
        seed: of the order.
        rank: of this process.
        world_size: number of processes.

    Raises:
        UsageError: fewer than two people have two images, or ``people`` is below 2.
    """

    def __init__(
        self,
        labels: ImageIndices,
        people: int = 15,
        images: int = 20,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(seed, rank, world_size)
        if people < 2 or images < 2:
            raise UsageError(
                f"{counted(people, 'person', 'people')} with {counted(images, 'image')} each; 2 of "
                "both are the least"
            )
        _, counts = np.unique(labels, return_counts=True)
        groups = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
        self._groups = [group for group in groups if len(group) > 1]
        if len(self._groups) < 2:
            raise UsageError("a triplet needs two people with at least two images each")
        self.people = min(people, len(self._groups))
        self.images = images
        self._round = len(self._groups) // self.people  # batches until people come again
        total = sum(len(group) for group in self._groups)
        wanted = max(total // (self.people * images), self._round)
        self._batches = max(wanted // world_size, 1)

    def __len__(self) -> int:
        return self._batches

    def epoch(self, number: int, start: int = 0) -> Iterator[ImageIndices]:
        """See :meth:`Sampler.epoch`."""
        turn, order = -1, np.empty(0, np.int64)
        for batch in range(start, len(self)):
            place = batch * self.world_size + self.rank
            if place // self._round != turn:
                turn = place // self._round
                order = self._random(number, 0, turn).permutation(len(self._groups))
            first = place % self._round * self.people
            random = self._random(number, 1, place)
            yield np.concatenate(
                [
                    random.permutation(self._groups[person])[: self.images]
                    for person in order[first : first + self.people]
                ]
            )


class Batch(NamedTuple):
    """What the loader yields.

    Attributes:
        pixels: uint8 (N, H, W, 3), RGB; in pinned memory on request.
        labels: int64 (N,).
        skipped: how many images could not be read and have others in their place.
    """

    pixels: Tensor
    labels: Tensor
    skipped: int


class _Pending(NamedTuple):
    pixels: Tensor
    labels: Tensor
    parts: list[Future[int]]


class Loader:
    """Decodes batches in threads, ahead of their use, and flips half of the images.

    A damaged image is replaced by the next one of its identity, or else of the set, always the
    same. What comes out depends on the arguments alone, not on the number of threads. Use it in a
    ``with`` statement, which ends the threads.

    Args:
        dataset: the images.
        batches: epoch and image indices of each batch, as from :meth:`Sampler.stream`.
        workers: threads.
        seed: of the flips; each is decided by seed, epoch and index.
        flip: whether to flip at all.
        pinned: yield pinned memory, for copies to a GPU that run beside its work.

    Attributes:
        damaged: reason by name of each image found damaged so far.
    """

    def __init__(
        self,
        dataset: TrainingSet,
        batches: Iterable[tuple[int, ImageIndices]],
        workers: int,
        seed: int,
        flip: bool = True,
        pinned: bool = False,
    ) -> None:
        self._dataset = dataset
        self._seed = seed
        self._flip = flip
        self._pinned = pinned
        self._pool = ThreadPoolExecutor(workers, "loader")
        self._results = ordered_map(self._start, self._finish, batches, _BATCHES_AHEAD)
        self.damaged: dict[str, str] = {}

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return next(self._results)

    def _start(self, batch: tuple[int, ImageIndices]) -> _Pending:
        epoch, indices = batch
        shape = (len(indices), *self._dataset.size, 3)
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self._pinned)
        labels = torch.empty(len(indices), dtype=torch.int64, pin_memory=self._pinned)
        flipped = flips(self._seed, epoch, indices) & self._flip
        parts = []
        for first in range(0, len(indices), _CHUNK):
            part = slice(first, first + _CHUNK)
            target = pixels[part].numpy(), labels[part].numpy()
            parts.append(self._pool.submit(self._fill, *target, indices[part], flipped[part]))
        return _Pending(pixels, labels, parts)

    def _finish(self, pending: _Pending) -> Batch:
        skipped = sum(part.result() for part in pending.parts)
        return Batch(pending.pixels, pending.labels, skipped)

    def _fill(
        self,
        pixels: RGBImage,
        labels: ImageIndices,
        indices: ImageIndices,
        flipped: NDArray[np.bool_],
    ) -> int:
        """Read images into their places; how many were replaced."""
        replaced = 0
        for place, index in enumerate(indices.tolist()):
            image = self._read(index)
            if image is None:
                replaced += 1
                index, image = self._replace(index)
            pixels[place] = image[:, ::-1] if flipped[place] else image
            labels[place] = self._dataset.labels[index]
        return replaced

    def _read(self, index: int) -> RGBImage | None:
        try:
            return self._dataset.read(index)
        except ImageError as error:
            self.damaged[self._dataset.name(index)] = str(error)
            return None

    def _replace(self, index: int) -> tuple[int, RGBImage]:
        for other in self._dataset.substitutes(index):
            image = self._read(other)
            if image is not None:
                return other, image
        raise FormatError(f"no image of {self._dataset.path} can be read any more")


def flips(seed: int, epoch: int, indices: ImageIndices) -> NDArray[np.bool_]:
    """Whether to flip each image: a fair coin for every seed, epoch and index, bool (N,).

    The finaliser of SplitMix64 (Steele et al. 2014) over a Weyl sequence.
    """
    key = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
    x = indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((x ^ (x >> np.uint64(31))) >> np.uint64(63) == 1, bool)
