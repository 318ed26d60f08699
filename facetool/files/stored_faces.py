"""What ``embed`` has written, read as a whole: names and embeddings in the order of ``labels.csv``.

They are those that ``align`` and ``represent`` would write of the same photos.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.align_manifest import CHOICES, MADE_CROP, AlignRow
from facetool.files.crop_names import crop_stems
from facetool.files.embed_plan import EmbedPlan, LatestPlans, PlannedPhotos, Shard, read_plans
from facetool.files.face_shards import (
    ROW_COLUMNS,
    DamagedShardError,
    check_shard,
    present_shards,
    read_shard,
    rows_of,
    shard_name,
)
from facetool.files.names_below import LEADS_OUT, leads_out
from facetool.files.represent_description import RepresentDescription
from facetool.files.storage import Storage, is_url
from facetool.files.text import counted

_SHARDS_HELD = 2
"""Of each plan, while rows are read in order."""

_MADE_AGAIN = "the same facetool embed command makes it"


class _Face(NamedTuple):
    """A face: the name of its crop, and where its embedding is."""

    name: str
    plan: int
    shard: int
    row: int


@dataclass(frozen=True)
class StoredFaces:
    """The faces of all plans in OUT.

    Attributes:
        storage: OUT.
        plans: all of them.
        faces: sorted by the names of their crops.
        description: as ``represent.json`` has it.
        missing: shards that are not there, or are damaged, with the reason.
        failures: (photo, reason) of photos that failed.
    """

    storage: Storage
    plans: Sequence[EmbedPlan]
    faces: Sequence[_Face]
    description: RepresentDescription
    missing: Sequence[tuple[str, str]]
    failures: Sequence[tuple[str, str]]

    @property
    def names(self) -> list[str]:
        """Of the crops, as in ``labels.csv``."""
        return [face.name for face in self.faces]

    @property
    def size(self) -> int:
        """Numbers in an embedding."""
        return self.plans[-1].embedding_size

    @property
    def lack(self) -> str | None:
        """What is missing or damaged, and what makes it; None where all shards are there."""
        if not self.missing:
            return None
        name, reason = self.missing[0]
        more = len(self.missing) - 1
        others = f" (and {counted(more, 'other')})" if more else ""
        return f"{name}{others} {reason}"

    def has_grown_from(self, earlier: RepresentDescription) -> bool:
        """Whether embeddings that were merged earlier are those of all plans, or of the first."""
        return any(
            _listing(self.plans[:count]) == earlier.input_listing_sha256
            for count in range(1, len(self.plans) + 1)
        )

    def batches(self, size: int) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Names (N) and embeddings (N, D) in order, ``size`` at a time.

        Raises:
            FormatError: a shard has been changed meanwhile.
        """
        held: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()

        def embedding(face: _Face) -> NDArray[np.float32]:
            key = face.plan, face.shard
            if key not in held:
                held[key] = self._columns(face.plan, face.shard, ["embedding"])["embedding"]
                if len(held) > _SHARDS_HELD * len(self.plans):
                    held.popitem(last=False)
            held.move_to_end(key)
            row: NDArray[np.float32] = held[key][face.row]
            return row

        for start in range(0, len(self.faces), size):
            faces = self.faces[start : start + size]
            yield [face.name for face in faces], np.stack([embedding(face) for face in faces])

    def rows(self, images: Collection[str]) -> Iterator[AlignRow]:
        """Rows as ``align.csv`` has them, of crops of these names, shard by shard.

        Raises:
            FormatError: a shard has been changed meanwhile.
        """
        wanted = sorted((face for face in self.faces if face.name in images), key=_place)
        for (plan, shard), faces in groupby(wanted, _place):
            rows = list(rows_of(self._columns(plan, shard, ROW_COLUMNS)))
            for face in faces:
                yield rows[face.row]._replace(output=face.name)

    def crop(self, image: str) -> bytes | None:
        """The PNG file of a crop; None where crops were not kept.

        Raises:
            KeyError: there is no face of this name.
            FormatError: a shard has been changed meanwhile.
        """
        place = bisect_left(self.faces, image, key=lambda face: face.name)
        if place == len(self.faces) or self.faces[place].name != image:
            raise KeyError(image)
        face = self.faces[place]
        if not self.plans[face.plan].keep_crops:
            return None
        png: bytes = self._columns(face.plan, face.shard, ["crop"])["crop"][face.row]
        return png

    def _columns(self, plan: int, shard: int, names: Sequence[str]) -> Mapping[str, Any]:
        try:
            return read_shard(self.storage, self.plans[plan], shard, names)[1]
        except FileNotFoundError:
            what = "is missing"
        except DamagedShardError:
            what = "is damaged"
        name = self.storage.join(shard_name(self.plans[plan].number, shard))
        raise FormatError(f"{name} {what}; {_MADE_AGAIN}")


def _place(face: _Face) -> tuple[int, int]:
    return face.plan, face.shard


def open_faces(storage: Storage) -> StoredFaces:
    """Look through all shards in OUT.

    Raises:
        FormatError: there is no plan, or shards of another one.
        UsageError: pyarrow is not installed.
    """
    found = _Found(storage, _plans_of(storage))
    found.read()
    return found.finish()


def planned_description(storage: Storage) -> RepresentDescription:
    """How the embeddings in OUT are made, by its plan: no shard is read.

    Device, counts and lists of images, which the shards know, are not there.

    Raises:
        FormatError: there is no plan.
    """
    return replace(_plans_of(storage)[-1].represent, input=_noted(storage))


def _noted(storage: Storage) -> str:
    """OUT as results note it: a folder's whole path, as commands may be given elsewhere."""
    return storage.place if is_url(storage.place) else str(Path(storage.place).resolve())


def _listing(plans: Sequence[EmbedPlan]) -> str:
    """A checksum of all that was embedded, sha256 in hexadecimal digits."""
    return hashlib.sha256("".join(plan.id for plan in plans).encode()).hexdigest()


def _plans_of(storage: Storage) -> list[EmbedPlan]:
    plans = read_plans(storage)
    if not plans:
        raise FormatError(f"{storage.place} holds no plan.json; make it with facetool embed")
    return plans


class _Found:
    """What is found in the shards on the way."""

    def __init__(self, storage: Storage, plans: Sequence[EmbedPlan]) -> None:
        self._storage = storage
        self._plans = plans
        self._latest = LatestPlans(storage, plans)
        self._rows: list[tuple[str, int, _Face]] = []
        self._missed: list[tuple[str, int]] = []
        self._largest: list[tuple[str, int]] = []
        self._devices: dict[str, None] = {}
        self._missing: list[tuple[str, str]] = []
        self._failures: list[tuple[str, str]] = []
        self._unknown = 0
        self._photos: list[str] = []

    def read(self) -> None:
        """Plan by plan; the photos of later ones take the place of earlier ones."""
        for place, plan in enumerate(self._plans):
            present = present_shards(self._storage, plan.number)
            for shard in PlannedPhotos(self._storage, plan):
                self._failures += [
                    (photo.name, LEADS_OUT)
                    for photo in shard.photos
                    if leads_out(photo.name) and self._latest.count(photo.name, plan)
                ]
                photos = [photo.name for photo in shard.photos if self._counts(photo.name, plan)]
                self._photos += photos
                if photos:
                    self._read_shard(place, shard, photos, present)
        self._failures += [(name, reason) for name, reason, _ in self._plans[-1].unlisted]

    def _read_shard(
        self, place: int, shard: Shard, photos: Sequence[str], present: set[int]
    ) -> None:
        plan, number = self._plans[place], shard.number
        try:
            if number not in present:
                raise FileNotFoundError
            record, rows = check_shard(self._storage, plan, shard, ())
        except FileNotFoundError:
            self._lack(plan, number, "is missing", photos)
            return
        except DamagedShardError:
            self._lack(plan, number, "is damaged", photos)
            return
        self._devices[record.device] = None
        for row, (photo, status, reason, face) in enumerate(rows):
            if not self._counts(photo, plan):
                continue
            if status == "failed":
                self._failures.append((photo, reason))
            if status in MADE_CROP:
                self._rows.append((photo, face, _Face("", place, number, row)))
                if status != "aligned":
                    self._missed.append((photo, face))
                if reason.startswith(f"{CHOICES['largest']} "):
                    self._largest.append((photo, face))

    def _counts(self, photo: str, plan: EmbedPlan) -> bool:
        """Whether the faces of a photo are taken: its name becomes those of crops."""
        return self._latest.count(photo, plan) and not leads_out(photo)

    def _lack(self, plan: EmbedPlan, number: int, what: str, photos: Sequence[str]) -> None:
        name = self._storage.join(shard_name(plan.number, number))
        self._missing.append((name, f"{what}; {_MADE_AGAIN}"))
        self._unknown += len(photos)

    def finish(self) -> StoredFaces:
        """All of it in order."""
        several = self._plans[-1].align.select == "all"
        photos = sorted(self._photos)
        stems = dict(zip(photos, crop_stems(photos, several), strict=True))
        faces = sorted(
            face._replace(name=_crop_name(stems, photo, number))
            for photo, number, face in self._rows
        )
        description = replace(
            self._plans[-1].represent,
            device=", ".join(self._devices) or None,
            input=_noted(self._storage),
            input_listing_sha256=_listing(self._plans),
            counts={"images": len(faces), "failed": len(self._failures) + self._unknown},
            missed_faces=sorted(_crop_name(stems, *one) for one in self._missed),
            largest_of_several=sorted(_crop_name(stems, *one) for one in self._largest),
        )
        return StoredFaces(
            self._storage, self._plans, faces, description, self._missing, self._failures
        )


def _crop_name(stems: Mapping[str, str], photo: str, face: int) -> str:
    """Where ``align`` puts the crop of a face."""
    return f"{stems[photo]}.face{face}.png" if face > 1 else f"{stems[photo]}.png"
