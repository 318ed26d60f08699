"""Whether an image is still what it was when a stage read it."""

from __future__ import annotations

import hashlib

from facetool.errors import ImageError
from facetool.files.image_states import ImageState
from facetool.images.inputs import ImageFiles, Images


def read_with_state(images: ImageFiles, name: str) -> tuple[bytes, ImageState]:
    """An image file's content, and its state as it was just before it was read.

    Raises:
        ImageError: it cannot be read.
    """
    size, modified = images.stat(name)
    data = images.read_bytes(name)
    return data, ImageState(size, modified, hashlib.sha256(data).hexdigest())


def state_now(images: Images, name: str) -> ImageState:
    """A file's state as it was just before its checksum was taken; its content is never held.

    Raises:
        ImageError: it cannot be read.
    """
    size, modified = images.stat(name)
    return ImageState(size, modified, images.sha256(name))


def is_there(images: ImageFiles, name: str) -> bool:
    """Whether an image still lies where it did."""
    try:
        images.stat(name)
    except ImageError:
        return False
    return True


def unchanged(
    images: Images, name: str, then: ImageState, *, by_content: bool
) -> ImageState | None:
    """The image's present state where its content is as it was, or None.

    Size and modification time decide; where only the time differs (a copy, a checkout), the
    content does.

    Args:
        images: where it lies.
        name: of the image.
        then: its state when it was read.
        by_content: compare the content in any case.
    """
    try:
        now = images.stat(name)
        if not by_content and now == (then.size, then.modified):
            return then
        if now[0] != then.size or not then.sha256:
            return None
        state = state_now(images, name)
    except ImageError:
        return None
    return state if state.sha256 == then.sha256 else None
