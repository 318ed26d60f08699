"""How images can be written and videos read. Light: doing so needs OpenCV."""

from typing import Literal, TypeAlias

QUALITIES = {"jpg": (95, 1, 100), "png": (3, 0, 9)}
"""By encoding of crops in a record file, the usual quality or compression, the least, the most."""

ENCODINGS = tuple(QUALITIES)

DEFAULT_EVERY = 0.5
"""Seconds from one frame of a video that is looked at to the next."""

Videos: TypeAlias = Literal["none", "named", "all"]
"""Which videos are listed with photos: none, those named themselves, or those in folders, too."""

SCENE = "scene"
"""Instead of seconds: the first frame of each scene."""
