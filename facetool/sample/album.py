"""Albums of imaginary people, laid out like LFW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from facetool.errors import FacetoolError, FormatError, UsageError
from facetool.files.atomic import atomic_write
from facetool.files.durable import ends_with, sync_file_system
from facetool.files.json_file import read_json, write_json
from facetool.files.lock import sole_writer
from facetool.files.text import counted
from facetool.jobs.pool import OrderedPool, available_cores
from facetool.jobs.progress import progress_bar
from facetool.sample.drawing.draw import draw_photo
from facetool.sample.drawing.person import imagine_person
from facetool.sample.drawing.photo import imagine_photo
from facetool.sample.names import LIMIT, draw_names
from facetool.sample.pairs import choose_pairs, pairs_text

PEOPLE, IMAGES = 60, 10
RECORD = "album.json"
PAIRS = "pairs.txt"
_END = b"\xff\xd9"
"""The last bytes of a JPEG file."""

_MOST_IMAGES = 9999  # four digits in the names of files
# Number of the way of drawing: raise it when the same seed gives other images.
_STYLE = 1


@dataclass(frozen=True)
class Album:
    """What an album is made from, and so everything that is in it.

    Attributes:
        people: number of people, 2 or more.
        images: photos of each, 1…9999.
        seed: 0 or more. Albums of one seed share their first people and photos.
        style: number of the way of drawing.

    Raises:
        UsageError: a number is out of range.
    """

    people: int = PEOPLE
    images: int = IMAGES
    seed: int = 0
    style: int = _STYLE

    def __post_init__(self) -> None:
        if not 2 <= self.people <= LIMIT:
            raise UsageError(f"an album needs 2 to {LIMIT} people, not {self.people}")
        if not 1 <= self.images <= _MOST_IMAGES:
            raise UsageError(f"an album has 1 to {_MOST_IMAGES} images of each, not {self.images}")
        if self.seed < 0:
            raise UsageError(f"a seed is 0 or more, not {self.seed}")

    def __str__(self) -> str:
        people, images = counted(self.people, "person", "people"), counted(self.images, "image")
        return f"{people}, {images} of each, seed {self.seed}"

    def files(self) -> list[list[str]]:
        """Paths of the images inside the album, person by person."""
        names = draw_names(self.people, self.seed)
        return [[f"{n}/{n}_{k + 1:04d}.jpg" for k in range(self.images)] for n in names]


@dataclass(frozen=True)
class AlbumSummary:
    """What :func:`draw_album` did.

    Attributes:
        album: what to draw.
        drawn: images drawn in this run; the others were there already.
        folds: folds in ``pairs.txt``.
        pairs: pairs in ``pairs.txt``, half of them of one person.
    """

    album: Album
    drawn: int
    folds: int
    pairs: int

    def __str__(self) -> str:
        pairs, folds = counted(self.pairs, "pair"), counted(self.folds, "fold")
        return f"{self.album}; {counted(self.drawn, 'image')} drawn; {pairs} in {folds}"


class _Task(NamedTuple):
    """The missing images of one person: their numbers and where they go."""

    person: int
    images: dict[int, Path]


def draw_image(seed: int, person: int, image: int) -> tuple[NDArray[np.uint8], int]:
    """Draw one image of an album, whatever the size of the album.

    Args:
        seed: of the album.
        person: counted from 0.
        image: of that person, counted from 0.

    Returns:
        RGB (250, 250, 3), and the quality with which the album saves it as JPEG.
    """
    who = imagine_person(np.random.default_rng([seed, 1, person]))
    photo = imagine_photo(np.random.default_rng([seed, 2, person, image]))
    return draw_photo(who, photo), photo.quality


def draw_album(
    output: Path,
    *,
    people: int = PEOPLE,
    images: int = IMAGES,
    seed: int = 0,
    jobs: int | None = None,
    overwrite: bool = False,
) -> AlbumSummary:
    """Draw an album: ``output/<First_Last>/<First_Last>_0001.jpg`` … and ``pairs.txt``.

    The same numbers give the same bytes, whatever ``jobs`` is. Images that are there already
    are kept, so a run that was stopped continues; ``pairs.txt`` is written last.

    Args:
        output: a folder that is new, empty or holds an album.
        people: number of people.
        images: photos of each.
        seed: decides who they are.
        jobs: worker processes; None for all available cores.
        overwrite: draw all images again and replace another album.

    Raises:
        UsageError: a number is out of range, or ``output`` holds something else.
        OutputError: a file cannot be written.
    """
    album = Album(people, images, seed)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file: name a folder for the album")
    with sole_writer(output):
        return _draw_album(output, album, jobs, overwrite)


def _draw_album(output: Path, album: Album, jobs: int | None, overwrite: bool) -> AlbumSummary:
    _prepare(output, album, overwrite)
    tasks = []
    for person, files in enumerate(album.files()):
        paths = {k: output / file for k, file in enumerate(files)}
        missing = {k: path for k, path in paths.items() if overwrite or not ends_with(path, _END)}
        if missing:
            tasks.append(_Task(person, missing))
    drawn = _draw_all(album, tasks, jobs or available_cores())
    folds = choose_pairs(album.people, album.images, album.seed)
    names = draw_names(album.people, album.seed)
    sync_file_system(output)
    with atomic_write(output / PAIRS, "w", encoding="utf-8", newline="\n") as file:
        file.write(pairs_text(folds, names))
    pairs = sum(len(fold.same) + len(fold.different) for fold in folds)
    return AlbumSummary(album, drawn, len(folds), pairs)


def _prepare(output: Path, album: Album, overwrite: bool) -> None:
    """Make sure that ``output`` holds nothing but this album, and note down its numbers."""
    there = _read_record(output / RECORD)
    if there is None and any(p.name[0] != "." for p in output.iterdir()):
        raise UsageError(f"{output} holds something else than an album: name a new folder")
    if there == album:
        return
    if there is not None:
        if not overwrite:
            raise UsageError(
                f"{output} holds another album ({there}): name another folder or give "
                "overwrite=True",
                "overwrite=True",
            )
        _remove(output, there)
    write_json(output / RECORD, asdict(album))


def _read_record(path: Path) -> Album | None:
    """The numbers of the album that is there, or None where there is none."""
    try:
        return Album(**read_json(path)) if path.exists() else None
    except (FormatError, TypeError, UsageError) as error:
        raise FormatError(f"{path} does not describe an album: remove the folder") from error


def _remove(output: Path, album: Album) -> None:
    """Remove the files of another album, and nothing else."""
    (output / PAIRS).unlink(missing_ok=True)
    for files in album.files():
        for file in files:
            (output / file).unlink(missing_ok=True)
        folder = (output / files[0]).parent
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _draw_all(album: Album, tasks: list[_Task], jobs: int) -> int:
    """Draw what the tasks ask for; returns the number of images."""
    total = sum(len(task.images) for task in tasks)
    with progress_bar("sample", total) as bar:
        # Starting a worker takes as long as drawing some forty images.
        jobs = min(jobs, len(tasks), 1 + total // 40)
        if jobs <= 1:
            for task in tasks:
                bar.update(_draw_person(album, task))
        else:
            numbers = (album.people, album.images, album.seed)
            with OrderedPool(_draw_people, _worker_died, Album, numbers, jobs) as pool:
                for counts in pool.map([[task] for task in tasks]):
                    bar.update(sum(counts))
    return total


def _draw_people(album: Album, tasks: Sequence[_Task]) -> list[int]:
    return [_draw_person(album, task) for task in tasks]


def _worker_died(task: _Task) -> int:
    raise FacetoolError("a worker process died while drawing (out of memory?); run again")


def _draw_person(album: Album, task: _Task) -> int:
    for image, path in task.images.items():
        rgb, quality = draw_image(album.seed, task.person, image)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        with atomic_write(path, durable=False) as file:
            file.write(encoded.tobytes())
    return len(task.images)
