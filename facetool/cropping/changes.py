"""What has changed since the last run of ``align``: photos that are new, replaced or gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facetool.errors import UsageError
from facetool.files.align_description import AlignDescription
from facetool.files.align_journal import (
    AlignedPhoto,
    recorded_inputs,
    recorded_photos,
    recorded_rows,
)
from facetool.files.align_manifest import AlignRow
from facetool.files.crop_names import stem_of_frame
from facetool.files.image_states import read_states
from facetool.files.text import counted
from facetool.images.changes import is_there, unchanged
from facetool.images.formats import VIDEO
from facetool.images.inputs import Images
from facetool.images.read import TRUNCATED
from facetool.jobs.progress import listener

_MISSED = ("no-face", "center", "fallback")


@dataclass(kw_only=True)
class PhotoChanges:
    """Says which of the photos that earlier runs aligned still stand as they are.

    Attributes:
        images: the photos as they are now.
        crops: photo, as in ``align.csv``, to the path of its crops below OUTPUT, without suffix.
        settings: of this run.
        under: name that the crops of these photos are kept under; "" for none.
        others: names that crops of other inputs are kept under.
        by_content: compare the content even where size and time are the same.
        keep_gone: keep the crops of photos that are gone.
        videos: those of the photos, as in ``align.csv``, that are videos.
        gone: photos that are gone since, and how many rows each had; with ``keep_gone`` these are
            kept.
        replaced: photos that are others since.
        hidden: photos and videos that are not listed but may be as they were, which are kept.
        resampled: videos of which other frames are searched now, and which ones before.
    """

    images: Images
    crops: Mapping[str, str]
    settings: AlignDescription
    under: str = ""
    others: Collection[str] = ()
    by_content: bool = False
    keep_gone: bool = False
    videos: Collection[str] = ()
    gone: dict[str, int] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    resampled: dict[str, str] = field(default_factory=dict)

    def keep(self, photo: AlignedPhoto, earlier: AlignDescription) -> AlignedPhoto | None:
        """What an earlier run made of a photo, where it still holds; None where it does not."""
        if not _belongs(photo.name, self.under, self.others):
            return photo
        name = _in_input(photo.name, self.under)
        if photo.name not in self.crops:
            return self._keep_unlisted(photo, name)
        first = photo.rows[0]
        if first.status == "failed" or photo.state is None:
            return None
        lacking = first.status in _MISSED or TRUNCATED in first.reason
        if lacking and not self.settings.same_policies(earlier):
            return None
        if first.output and _stem(first) != self.crops[photo.name]:
            return None  # a photo that shares its name has come or gone
        if photo.name in self.videos:
            before, now = (
                (one.frames or {}).get(self.under, "") for one in (earlier, self.settings)
            )
            if before != now:
                self.resampled[photo.name] = before
                return None
        state = unchanged(self.images, name, photo.state, by_content=self.by_content)
        if state is None:
            self.replaced.append(photo.name)
            return None
        return photo._replace(state=state)

    def _keep_unlisted(self, photo: AlignedPhoto, name: str) -> AlignedPhoto | None:
        """A photo that is not listed: kept if it may still exist, or on request."""
        if photo.rows[0].status == "failed":
            return None
        if _is_hidden(self.images, name):
            self.hidden.append(photo.name)
            video = name in self.images.unsupported.get(VIDEO, ())
            if video and not self._is_unchanged(photo, name):
                self.replaced.append(photo.name)
            return photo
        self.gone[photo.name] = len(photo.rows)
        return photo if self.keep_gone else None

    def _is_unchanged(self, photo: AlignedPhoto, name: str) -> bool:
        then = photo.state
        return bool(then and unchanged(self.images, name, then, by_content=self.by_content))


def check_inputs(images: Images, output: Path, under: str) -> dict[str, str]:
    """The inputs of an aligned folder, by the name that their crops are kept under, with this one.

    Args:
        images: this input.
        output: the aligned folder, or where it will be.
        under: name that the crops of ``images`` are kept under; "" for none.

    Raises:
        UsageError: the folder holds crops of other photos under that name, or photos of two
            inputs would have the same name.
    """
    place = str(images.place.resolve())
    recorded = recorded_inputs(output)
    photos = recorded_photos(output)
    others = [name for name in recorded if name]
    known = [name for name in photos if _belongs(name, under, others)]
    before = recorded.get(under)
    of_0_1 = before is None and bool(known)
    if of_0_1:
        listed = {_named(name, under) for name in images.names}
        if missing := [name for name in known if name not in listed]:
            raise UsageError(
                f"{output} holds crops of {counted(len(missing), 'photo')} not in {images.place} "
                f"({missing[0]}); choose another OUTPUT or start over with overwrite=True",
                "overwrite=True",
            )
    elif before not in (None, place):
        _say_it_moved(images, output, known, under, before)
    _refuse_shared_names(images.names, recorded, photos, under)
    if of_0_1:
        listener().remark(
            str(output),
            "made by facetool 0.1, which kept less of photos: each has to be done again",
        )
    return {**recorded, under: place}


def _say_it_moved(
    images: Images, output: Path, known: Sequence[str], under: str, before: str
) -> None:
    """Tell that the photos lie elsewhere now.

    Raises:
        UsageError: they are others.
    """
    if not _is_moved(images, output, known, under):
        raise UsageError(
            f"{output} holds crops of the photos in {before}; choose another OUTPUT, add these "
            "under a name of their own with into=NAME, or start over with overwrite=True",
            "into=NAME",
            "overwrite=True",
        )
    new = len({_named(name, under) for name in images.names}.difference(known))
    listener().remark(
        str(images.place),
        f"taken for {before}, moved or copied: its {counted(len(known), 'photo')} all there, "
        f"{new:,} new",
    )


def with_earlier(images: Images, output: Path, under: str) -> list[str]:
    """The names of ``images`` and of those listed earlier that are still there."""
    others = [name for name in recorded_inputs(output) if name]
    photos = recorded_photos(output)
    earlier = {_in_input(name, under) for name in photos if _belongs(name, under, others)}
    return sorted({*images.names, *(name for name in earlier if is_there(images, name))})


def kept_crops(
    images: Images, output: Path, names: Collection[str], under: str, *, keep_gone: bool
) -> list[str]:
    """Crops, without suffix, that stay although their photos are not among ``names``.

    Args:
        images: the photos as they are now.
        output: the aligned folder.
        names: of those that are looked at.
        under: name that the crops of ``images`` are kept under, which leads no name; "" for none.
        keep_gone: crops of photos that are gone stay.
    """
    others = [name for name in recorded_inputs(output) if name]
    listed = {_named(name, under) for name in names}
    return [
        _in_input(row.output, under).removesuffix(".png")
        for row in recorded_rows(output)
        if row.output and row.input not in listed and _belongs(row.input, under, others)
        if keep_gone or _is_hidden(images, _in_input(row.input, under))
    ]


def _is_hidden(images: Images, name: str) -> bool:
    """Whether a photo or video that is not listed may be there all the same."""
    return name in images.unsupported.get(VIDEO, ()) or any(
        name == place or name.startswith(f"{place}/") for place, _ in images.unreadable
    )


def _belongs(name: str, under: str, others: Collection[str]) -> bool:
    """Whether a photo is of the input kept under ``under``; ``others``: names of further inputs."""
    if under:
        return name.startswith(f"{under}/")
    return not any(name.startswith(f"{other}/") for other in others)


def _in_input(name: str, under: str) -> str:
    """The name in its input of a photo that is called ``name`` in ``align.csv``."""
    return name.removeprefix(f"{under}/") if under else name


def _named(name: str, under: str) -> str:
    return f"{under}/{name}" if under else name


def _is_moved(images: Images, output: Path, known: Sequence[str], under: str) -> bool:
    """Whether all photos known are in the new place, as they were."""
    states = read_states(output)
    return bool(known) and all(
        name in states and unchanged(images, _in_input(name, under), states[name], by_content=False)
        for name in known
    )


def _stem(row: AlignRow) -> str:
    """What leads to the crops of a photo or video, by its first one."""
    stem = row.output.removesuffix(".png")
    return (stem_of_frame(stem) or stem) if row.time else stem


def _refuse_shared_names(
    listed: Sequence[str], recorded: Mapping[str, str], known: Sequence[str], under: str
) -> None:
    if under and under not in recorded:
        taken = [name for name in known if name.startswith(f"{under}/")]
        if taken:
            raise UsageError(f"there are crops under {under} already ({taken[0]}); choose another")
    if not under:
        for other in filter(None, recorded):
            if any(name.startswith(f"{other}/") for name in listed):
                raise UsageError(
                    f"{recorded[other]} is kept under {other}, the name of a folder of this input "
                    "too; choose another OUTPUT"
                )
