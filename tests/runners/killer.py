"""Workers that die on the photo kills.png; workers import this module."""

from __future__ import annotations

import os
from typing import Any

from facetool.runners import cropping, on_ray

_create, _crop = cropping._create_worker, cropping._crop_chunk
_embed = on_ray._embed_shard


def create_worker(*arguments: Any) -> Any:
    return _create(*arguments)


def crop_chunk(worker: Any, tasks: Any) -> Any:
    for task in tasks:
        if task.name.endswith("kills.png"):
            with (task.files.root.parent / "log").open("a") as file:
                file.write("killed\n")
            os._exit(9)
    return _crop(worker, tasks)


def embed_shard(*arguments: Any) -> Any:
    """The task of Ray, in a worker that dies so."""
    vars(cropping).update(_create_worker=create_worker, _crop_chunk=crop_chunk)
    return _embed(*arguments)
