"""Whether a folder's images are crops, all of them, and those a network wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facetool.alignment.recipes import Crop
from facetool.errors import ImageError, UsageError
from facetool.files.align_description import (
    ALIGN_JSON,
    AlignDescription,
    read_align_description,
)
from facetool.files.align_journal import JOURNAL
from facetool.files.align_manifest import ALIGN_CSV, read_manifest
from facetool.files.text import counted
from facetool.images.inputs import Images
from facetool.images.read import RGBImage
from facetool.weights.catalogue import crop_of, names

if TYPE_CHECKING:
    from facetool.networks.base import EmbeddingNetwork


@contextmanager
def or_any_crop() -> Iterator[None]:
    """Say of what is refused that ``any_crop`` takes it, where there is such a setting."""
    try:
        yield
    except UsageError as error:
        raise UsageError(
            f"{error} (or insist with any_crop=True)", *error.settings, "any_crop=True"
        ) from None


def check_crops(images: Images, network: EmbeddingNetwork) -> None:
    """Refuse images that nothing shows to be a network's crops, and all of them.

    Of a folder its manifest says so; a ``.rec`` file has none, so the size of its first image
    must do.

    Raises:
        UsageError: they are not; the message says how to make the right ones.
    """
    if not images.place.is_dir():
        _check_first(images, network)
        return
    if not check_manifest(images.place, network):
        if (above := _aligned_folder_above(images.place)) is not None:
            raise UsageError(
                f"{images.place} is a part of the crops in {above}; give {above}, whose align.json "
                "says what they are"
            )
        raise _error(
            f"{images.place} has no align.json, so nothing says that its images are crops",
            network,
            "if they are photos, run align on them",
        )
    made = {row.output for row in read_manifest(images.place / ALIGN_CSV)}
    foreign = [name for name in images.names if name not in made]
    if foreign:
        raise UsageError(
            f"{images.place} holds {counted(len(foreign), 'image')} that align did not make, such "
            f"as {foreign[0]}; move what is no crop elsewhere"
        )


def check_manifest(folder: Path, network: EmbeddingNetwork) -> bool:
    """Whether a folder's manifest says that it holds a network's crops; False without one.

    Raises:
        UsageError: the manifest says that it holds others, or not yet all.
    """
    described = check_complete(folder)
    if described is None:
        return False
    made = Crop.from_dict(described.crop or {})
    wanted = network.recipe.crop
    if not made.same_crop(wanted):
        raise _error(
            f"{folder} holds crops made as '{made}', but {network.info.architecture} wants "
            f"'{wanted}'",
            network,
        )
    return True


def check_complete(folder: Path) -> AlignDescription | None:
    """What a folder's manifest says of its crops; None without one.

    Raises:
        UsageError: ``align`` has not finished there.
    """
    described = read_align_description(folder)
    if (folder / JOURNAL).exists() or (described and not (folder / ALIGN_CSV).exists()):
        raise UsageError(
            f"align has not finished in {folder}; wait for it, or give the same align command again"
        )
    return described


def check_size(image: RGBImage, network: EmbeddingNetwork, place: str) -> None:
    """Refuse an image, uint8 (H, W, 3), of another size than a network's crops.

    Raises:
        UsageError: it is; ``place`` says where it came from.
    """
    crop = network.recipe.crop
    height, width = image.shape[:2]
    holds_it = crop.landmarks == "arcface" and width == height and width > crop.width
    if height != crop.height or not (width == crop.width or holds_it):
        raise _error(
            f"{place} holds images of {width}x{height} pixels, but {network.info.architecture} "
            f"wants crops of {crop.width}x{crop.height}",
            network,
        )


def _aligned_folder_above(folder: Path) -> Path | None:
    """The folder of crops that this one lies in; None where it lies in none."""
    above = folder.absolute().parents
    return next((parent for parent in above if (parent / ALIGN_JSON).is_file()), None)


def _check_first(images: Images, network: EmbeddingNetwork) -> None:
    for name in images.names:
        try:
            image = images.read(name)
        except ImageError:
            continue
        check_size(image, network, str(images.place))
        return


def _error(
    what: str, network: EmbeddingNetwork, advice: str = "run align on the photos"
) -> UsageError:
    """What is wrong, and how to make a network's crops."""
    wanted = network.recipe.crop
    settings = [
        f"landmarks={wanted.landmarks!r}",
        f"size={wanted.height}",
        f"detector={wanted.detector!r}",
    ]
    for name in (network.info.weights_name, network.info.architecture):
        if name in names() and crop_of(name).same_crop(wanted):
            settings = [f"model={name!r}"]
            break
    return UsageError(f"{what}; {advice} with {' '.join(settings)}", *settings)
