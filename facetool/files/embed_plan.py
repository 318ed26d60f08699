"""``plan.json``: which photos an embed run takes, frozen, in which shards and with which settings.

OUT holds, for each plan, ``plan.json`` (later ones ``plan-2.json`` and so on), the list of its
photos as ``photos/<checksum>.parquet``, a row group for each shard, and the shards themselves
(:mod:`facetool.files.face_shards`).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from facetool.errors import FormatError, UsageError
from facetool.files.align_description import AlignDescription
from facetool.files.fields import checked
from facetool.files.json_file import json_text, parse_json
from facetool.files.represent_description import RepresentDescription
from facetool.files.storage import Storage
from facetool.files.text import as_utf8, from_utf8

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

PER_SHARD = 1000
"""Photos of a shard, unless told otherwise: 0.6 MB of 128-dimensional embeddings, some 2 MB of
512-dimensional ones, and a minute's work or less of a core."""

_FORMAT = 1

_LISTING = re.compile(r"photos/[0-9a-f]{32}\.parquet")

_RESTORE = "put a copy of it back, or give facetool embed another OUT"

PARQUET_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    NotImplementedError,
    MemoryError,
)
"""What Arrow raises for a damaged file, or for one of another kind."""


class ListedPhoto(NamedTuple):
    """A photo of the list.

    Attributes:
        name: as in ``align.csv``.
        size: bytes.
        version: what changes with its content: modification time, or the store's tag.
        file: of a photo that lies in an archive, the archive's name, else empty.
        offset: where in that file the photo begins.
    """

    name: str
    size: int
    version: str
    file: str = ""
    offset: int = 0


class Shard(NamedTuple):
    """A part of a plan: its number and its photos."""

    number: int
    photos: Sequence[ListedPhoto]


@dataclass(frozen=True, kw_only=True)
class EmbedPlan:
    """What every process that works on a run goes by.

    Attributes:
        number: 1, or more for photos that came or changed later.
        source: where the photos were, for messages.
        photos: how many.
        per_shard: photos of a shard; the last may have fewer.
        listing: name of the list in OUT.
        align: how faces are found and cut.
        represent: the network and how it computes; device, counts and lists are not there.
        keep_crops: whether shards hold the crops.
        gone: photos of earlier plans that are no longer there.
        unlisted: (name, reason, number) of what cannot be listed or is not read.
        facetool: version that made the plan.
    """

    number: int = 1
    source: str
    photos: int
    per_shard: int
    listing: str
    align: AlignDescription
    represent: RepresentDescription
    keep_crops: bool
    gone: Sequence[str] = ()
    unlisted: Sequence[tuple[str, str, int]] = ()
    facetool: str

    @property
    def shards(self) -> int:
        """How many there are."""
        return -(-self.photos // self.per_shard)

    @property
    def id(self) -> str:
        """A checksum of all that decides the rows: photos, settings, weights."""
        decisive = {
            "photos": self.listing,
            "per_shard": self.per_shard,
            "align": self.align.as_dict(),
            "represent": self.represent.as_dict(),
            "keep_crops": self.keep_crops,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @property
    def embedding_size(self) -> int:
        """Dimensions of an embedding, those that ``flip`` appends among them."""
        return self.represent.stored_size

    def size_of(self, shard: int) -> int:
        """How many photos a shard has."""
        return min(self.per_shard, self.photos - shard * self.per_shard)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        stated = {"align": self.align.as_dict(), "represent": self.represent.as_dict()}
        return {"format": _FORMAT, "id": self.id, "shards": self.shards, **values, **stated}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EmbedPlan:
        """The inverse of :meth:`as_dict`.

        Raises:
            FormatError: a value is missing, of another kind, or not the one that was written.
        """
        if "format" not in values:
            raise FormatError("no plan of facetool embed")
        stated = checked(values, **_KINDS)
        if missing := [key for key in _KINDS if key not in stated]:
            raise FormatError(f"{missing[0]} is not there")
        if not (_LISTING.fullmatch(stated["listing"]) and stated["per_shard"] > 0):
            raise FormatError("listing or per_shard is none of facetool embed")
        plan = cls(
            **{
                **stated,
                "align": AlignDescription.from_dict(stated["align"]),
                "represent": RepresentDescription.from_dict(stated["represent"]),
            },
            gone=_gone(values.get("gone", [])),
            unlisted=_unlisted(values.get("unlisted", [])),
        )
        if values.get("id") != plan.id:
            raise FormatError("changed since facetool embed wrote it")
        return plan

    def difference(self, other: EmbedPlan) -> str | None:
        """Why a run planned as ``other`` would give other rows of the same photos; or None."""
        if reason := self.align.difference(other.align):
            return reason
        if not self.align.same_policies(other.align):
            return "photos that lack something are treated otherwise"
        if reason := self.represent.change(other.represent):
            return reason
        if self.keep_crops != other.keep_crops:
            return f"crops {'kept' if self.keep_crops else 'not kept'} there"
        return None


_KINDS: Mapping[str, type] = {
    "number": int,
    "source": str,
    "photos": int,
    "per_shard": int,
    "listing": str,
    "align": dict,
    "represent": dict,
    "keep_crops": bool,
    "facetool": str,
}


def _gone(names: Any) -> tuple[str, ...]:
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise FormatError("gone is not a list of names")
    return tuple(names)


def _unlisted(rows: Any) -> tuple[tuple[str, str, int], ...]:
    if not (
        isinstance(rows, list)
        and all(isinstance(row, list) and list(map(type, row)) == [str, str, int] for row in rows)
    ):
        raise FormatError("unlisted is not a list of names, reasons and numbers")
    return tuple((name, reason, count) for name, reason, count in rows)


def read_plans(storage: Storage) -> list[EmbedPlan]:
    """All plans of OUT in order; none where no run has begun.

    Raises:
        FormatError: one is damaged.
    """
    plans: list[EmbedPlan] = []
    while True:
        name = plan_name(len(plans) + 1)
        try:
            text = storage.read(name)
        except FileNotFoundError:
            return plans
        plans.append(_plan(text, storage.join(name), len(plans) + 1))


def _plan(text: bytes, place: str, number: int) -> EmbedPlan:
    try:
        values = _parsed(text)
        if values.get("format", _FORMAT) == _FORMAT:
            plan = EmbedPlan.from_dict(values)
            if plan.number != number:
                raise FormatError(f"it is the plan {plan.number:,}")
            return plan
    except FormatError as error:
        raise FormatError(f"{place}: {error}; {_RESTORE}") from None
    raise FormatError(
        f"{place}: written by another version of facetool, which has to go on with it"
    )


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        return parse_json(text, "")
    except FormatError:
        raise FormatError("damaged, not a JSON object") from None


def write_plan(storage: Storage, plan: EmbedPlan, photos: Sequence[ListedPhoto]) -> EmbedPlan:
    """Write a plan and its list, unless somebody else was first.

    Args:
        storage: OUT.
        plan: whose ``listing`` is filled in here.
        photos: sorted by name.

    Returns:
        The plan that is there now.

    Raises:
        OutputError: it cannot be written.
    """
    data = _listing_bytes(photos, plan.per_shard)
    plan = replace(plan, listing=_listing_name(data))
    # A list that nobody names does no harm; a plan whose list is not there would.
    storage.write(plan.listing, data)
    text = json_text(plan.as_dict()).encode("utf-8", "backslashreplace")  # names may be any bytes
    if storage.create(plan_name(plan.number), text):
        return plan
    return read_plans(storage)[plan.number - 1]


class LatestPlans:
    """Which photos were replaced, or are gone, since an earlier plan took them.

    Args:
        storage: OUT.
        plans: all of them.

    Raises:
        FormatError: a list is not there, or damaged.
    """

    def __init__(self, storage: Storage, plans: Sequence[EmbedPlan]) -> None:
        self._latest: dict[str, int] = {}
        for plan in plans[1:]:
            self._latest.update(dict.fromkeys(plan.gone, plan.number))
            for shard in PlannedPhotos(storage, plan):
                self._latest.update((photo.name, plan.number) for photo in shard.photos)

    def count(self, photo: str, plan: EmbedPlan) -> bool:
        """Whether what a plan made of a photo still counts."""
        return self._latest.get(photo, 0) <= plan.number


def plan_name(number: int) -> str:
    """``plan.json``, ``plan-2.json`` …"""
    return "plan.json" if number == 1 else f"plan-{number}.json"


class PlannedPhotos:
    """The photos of a plan, read shard by shard.

    Args:
        storage: OUT.
        plan: of it.

    Raises:
        FormatError: the list is not there, or damaged.
    """

    def __init__(self, storage: Storage, plan: EmbedPlan) -> None:
        place = storage.join(plan.listing)
        try:
            data = storage.read(plan.listing)
        except FileNotFoundError:
            raise FormatError(f"{place} is missing; {_RESTORE}") from None
        if _listing_name(data) != plan.listing:
            raise FormatError(f"{place} is damaged; {_RESTORE}")
        self._file = open_parquet(data)
        if (self._file.metadata.num_rows, self._file.num_row_groups) != (plan.photos, plan.shards):
            raise FormatError(f"{place}: not the photos that the plan counts; {_RESTORE}")

    def shard(self, number: int) -> Shard:
        """One shard's photos."""
        table = self._file.read_row_group(number, use_threads=False)
        columns = (table.column(name).to_pylist() for name in ListedPhoto._fields)
        photos = [ListedPhoto(*row) for row in zip(*columns, strict=True)]
        return Shard(
            number,
            [
                photo._replace(name=from_utf8(photo.name), file=from_utf8(photo.file))
                for photo in photos
            ],
        )

    def __iter__(self) -> Iterator[Shard]:
        return map(self.shard, range(self._file.num_row_groups))


def need_pyarrow() -> tuple[Any, Any]:
    """``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        UsageError: they are not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            "embed and what it writes need pyarrow: pip install 'facetool[cloud]'"
        ) from None
    return pyarrow, parquet


def open_parquet(data: bytes, **options: bool) -> ParquetFile:
    """A Parquet file in memory.

    To be read without threads: Arrow's may still let go of Python's objects while Python ends,
    which then aborts (https://github.com/apache/arrow/issues/34314).

    Raises:
        PARQUET_DAMAGE: it is damaged.
        UsageError: pyarrow is not installed.
    """
    arrow, parquet = need_pyarrow()
    file: ParquetFile = parquet.ParquetFile(arrow.BufferReader(data), **options)
    return file


def _listing_name(data: bytes) -> str:
    """Where a list is kept: its name tells whether it is whole."""
    return f"photos/{hashlib.sha256(data).hexdigest()[:32]}.parquet"


def _listing_bytes(photos: Sequence[ListedPhoto], per_shard: int) -> bytes:
    """The list as Parquet: the same photos give the same bytes."""
    arrow, parquet = need_pyarrow()
    schema = arrow.schema(
        [
            ("name", arrow.string()),
            ("size", arrow.int64()),
            ("version", arrow.string()),
            ("file", arrow.string()),
            ("offset", arrow.int64()),
        ]
    )
    sink = io.BytesIO()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for start in range(0, len(photos), per_shard):
            part = [
                photo._replace(name=as_utf8(photo.name), file=as_utf8(photo.file))
                for photo in photos[start : start + per_shard]
            ]
            columns = zip(*part, strict=True)
            arrays = [
                arrow.array(column, field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(arrow.table(arrays, schema), row_group_size=per_shard)
    return sink.getvalue()
