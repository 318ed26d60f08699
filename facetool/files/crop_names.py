"""Where the crops of each photo go, so that no two photos share a file."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

_NUMBERED = re.compile(r"(.*)\.face\d+")

_FRAME = re.compile(r"(.*)\.\d+h\d\dm\d\d\.\d{3}s(\.face\d+)?")

_ENDS_LINES = ("Cc", "Zl", "Zp")
"""Unicode's categories of control characters and separators of lines and paragraphs."""


def crop_stems(
    names: Sequence[str],
    several: bool,
    videos: Collection[str] = (),
    taken: Collection[str] = (),
) -> list[str]:
    """Paths of crops below OUTPUT, without ``.png``: those of the photos, without suffix.

    Photos that would share one keep their suffix: ``a.jpg.png`` and ``a.bmp.png``. What would end
    a line of ``labels.csv`` or of a terminal is escaped: ``%0A`` for a line feed.

    Args:
        names: of the photos, all different.
        several: a photo may have several crops, the second ``<stem>.face2.png``.
        videos: those of the names that are of videos, whose crops are called as
            :func:`frame_name` says.
        taken: crops of other photos and videos, without suffix, that stay where they are.
    """
    moving = [name in videos for name in names]
    staying = [crop.casefold() for crop in taken]
    stems_of_videos = _stems_of(_FRAME, staying)
    staying += _stems_of(_NUMBERED, staying) if several else []
    whole = _apart(_without_controls(names), moving, staying, stems_of_videos)
    stems = [str(PurePosixPath(name).with_suffix("")) for name in whole]
    while True:
        photos, of_videos = Counter(staying), Counter(stems_of_videos)
        photos.update(s.casefold() for s, video in zip(stems, moving, strict=True) if not video)
        of_videos.update(s.casefold() for s, video in zip(stems, moving, strict=True) if video)
        shared = [
            place
            for place, stem in enumerate(stems)
            if stem != whole[place]
            and (
                of_videos[stem.casefold()] > 1
                if moving[place]
                else photos[stem.casefold()] > 1
                or (several and _of_another(_NUMBERED, stem, photos))
                or _of_another(_FRAME, stem, of_videos)
            )
        ]
        if not shared:
            return stems
        for place in shared:
            stems[place] = whole[place]


def _without_controls(names: Sequence[str]) -> list[str]:
    """The names, no two of them the same, with control characters escaped as in a URL."""
    escaped = [name if name.isprintable() else _escaped(name) for name in names]
    taken = {name.casefold() for name, text in zip(names, escaped, strict=True) if name == text}
    for place, name in enumerate(names):
        if escaped[place] == name:
            continue
        while escaped[place].casefold() in taken:  # another photo is called so
            escaped[place] = escaped[place].replace("%", "%25", 1)
        taken.add(escaped[place].casefold())
    return escaped


def _apart(
    names: Sequence[str],
    moving: Sequence[bool],
    of_photos: Collection[str],
    of_videos: Collection[str],
) -> list[str]:
    """The names, none of them the stem of crops that stay, as one without a suffix may be."""
    listed = {name.casefold() for name in names}
    apart = []
    for name, video in zip(names, moving, strict=True):
        stems = of_videos if video else of_photos
        if name.casefold() in stems:
            while name.casefold() in listed or name.casefold() in stems:
                name += "_"
            listed.add(name.casefold())
        apart.append(name)
    return apart


def _escaped(name: str) -> str:
    return "".join(
        quote(letter) if unicodedata.category(letter) in _ENDS_LINES else letter for letter in name
    )


def frame_name(stem: str, time: float) -> str:
    """What the crops of a video's frame are called, so that they sort: ``clip.00h01m02.500s``.

    Args:
        stem: of the video.
        time: in seconds from its beginning.
    """
    seconds, thousandths = divmod(round(time * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{stem}.{hours:02}h{minutes:02}m{seconds:02}.{thousandths:03}s"


def stem_of_frame(name: str) -> str | None:
    """The inverse of :func:`frame_name`, of a further face, too; None for other names."""
    found = _FRAME.fullmatch(name)
    return found[1] if found else None


def _stems_of(pattern: re.Pattern[str], crops: Sequence[str]) -> list[str]:
    return [found[1] for crop in crops if (found := pattern.fullmatch(crop))]


def _of_another(pattern: re.Pattern[str], stem: str, taken: Counter[str]) -> bool:
    """Whether a stem is what another one's further crop is called."""
    named = pattern.fullmatch(stem.casefold())
    return named is not None and named[1] in taken
