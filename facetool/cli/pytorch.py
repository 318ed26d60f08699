"""PyTorch, before anything else imports it."""

from __future__ import annotations

import gc


def import_pytorch() -> None:
    """Import PyTorch for a command that runs a network, in less time than it takes by itself.

    Its quarter of a million objects is there to stay: Python does not look for garbage among them,
    now or later. The process keeps the memory that it frees.
    """
    from facetool.jobs.allocator import keep_freed_memory

    keep_freed_memory()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()
