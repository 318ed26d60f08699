"""The whole state of a run in one file, whole or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from facetool.errors import FormatError, OutputError, one_line
from facetool.files.atomic import atomic_write

CHECKPOINT_VERSION = 1

_PARTS = {
    "config": dict,
    "step": int,
    "network": dict,
    "loss": dict,
    "optimizer": dict,
    "scaler": dict,
    "random": list,
    "progress": dict,
}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values.

    Raises:
        OutputError: the file cannot be written; one that was there stays.
    """
    with atomic_write(path) as file:
        try:
            torch.save({"facetool": CHECKPOINT_VERSION, **state}, file)
        except RuntimeError as error:  # how PyTorch's zip writer tells of a full disk
            raise OutputError(f"cannot write {path}: {one_line(error)}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint to main memory; its pickle can make nothing but tensors and plain values.

    Raises:
        FormatError: the file is damaged or no checkpoint of this version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # the unpickler stumbles over damage with errors of any type
        raise FormatError(
            f"{path} is damaged or no checkpoint; start over with overwrite=True", "overwrite=True"
        ) from error
    if not isinstance(state, dict) or state.pop("facetool", None) != CHECKPOINT_VERSION:
        raise FormatError(f"{path} is not a checkpoint of this version of facetool train")
    for name, kind in _PARTS.items():
        if not isinstance(state.get(name), kind):
            raise FormatError(f"{path} is not a checkpoint: it has no proper {name!r}")
    return state


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of the random generators a step draws from (dropout, triplets)."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put back what :func:`random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
