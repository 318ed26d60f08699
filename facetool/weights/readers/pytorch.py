"""PyTorch files: state dicts of face networks, plain or inside the checkpoints of training."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from facetool.errors import FormatError, WeightsError
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.readers.foreign_formats import KERAS, SAVE
from facetool.weights.readers.pytorch_layouts import State, recognise_layout

_DEEPEST = 4  # dictionaries inside each other; Lightning and arcface_torch need two
_MOST_CLASSES = 64
_UNKNOWN_CLASS = re.compile(r"GLOBAL ([\w.]+) was not an allowed global")


def load(path: Path) -> EmbeddingNetwork:
    """Read a network from a file of ``torch.save``, without running any code in it.

    The state dict may lie in a checkpoint, under any key, and its names may have a wrapper's
    prefix; :mod:`facetool.weights.readers.pytorch_layouts` says which networks are known. What
    leaves no trace among the tensors (pooling, eps, recipe) is taken to be as the authors of
    the layout have it; safetensors files of facetool keep it. Other objects in a checkpoint, such
    as a scheduler or the options of a run, are passed over.

    Args:
        path: the file; its tensors are copied, so it may be replaced afterwards.

    Returns:
        The network in eval mode, float32, with its recipe.

    Raises:
        FormatError: the file is damaged, or not of ``torch.save``.
        WeightsError: its tensors are those of no known network.
    """
    loaded = _read(path)
    try:
        return from_states(list(_states(loaded, path.stat().st_size)), describe=_describe(loaded))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def from_states(states: list[State], *, describe: str = "no tensors") -> EmbeddingNetwork:
    """The network that one of several state dicts holds: the first of a known layout.

    Args:
        states: tensors by name; they are copied.
        describe: what the file holds where there are none.

    Raises:
        WeightsError: none is of a known network.
    """
    problem = WeightsError(
        f"holds {describe}, not a state dict; save one in the program that made it: {SAVE}"
    )
    for index, state in enumerate(states):
        try:
            network, own = recognise_layout(state)
        except WeightsError as error:
            problem = error if index == 0 else problem
        else:
            _fill(network, own)
            return network.eval()
    raise problem


class _PassedOver:
    """Stands for an object of a class that is not PyTorch's own; runs nothing, keeps nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _read(path: Path) -> object:
    """What ``torch.save`` wrote, objects of foreign classes as :class:`_PassedOver`."""
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"  # files of before PyTorch 1.6 are not
    if zipped:
        _check_archive(path)
    stand_ins: dict[str, type] = {}
    while True:
        try:
            with (
                warnings.catch_warnings(),
                torch.serialization.safe_globals(
                    [(made, name) for name, made in stand_ins.items()]
                ),
            ):
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except pickle.UnpicklingError as error:
            found = _UNKNOWN_CLASS.search(str(error))
            if found is None or found[1] in stand_ins or len(stand_ins) >= _MOST_CLASSES:
                raise _unreadable(path, error) from error
            stand_ins[found[1]] = type(found[1].rpartition(".")[2], (_PassedOver,), {})
        except Exception as error:  # the unpickler lets through whatever damage makes it stumble on
            raise _unreadable(path, error) from error


def _check_archive(path: Path) -> None:
    """Refuse zip files that ``torch.save`` did not write.

    Raises:
        FormatError: it is damaged or of another kind; the message says which.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # zipfile lets through whatever damage makes it stumble on
        raise _unreadable(path, error) from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("constants.pkl") for name in names):
        raise FormatError(
            f"{path} is TorchScript, a program with its weights, which is not run; in Python: "
            f"torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pt')"
        )
    if any("serialized_exported_program" in name or name.endswith(".pt2") for name in names) or (
        any("models/model.json" in name for name in names)
    ):
        raise FormatError(
            f"{path} is a program of torch.export, which is not run; in Python: "
            f"torch.save(torch.export.load({path.name!r}).state_dict, 'weights.pt')"
        )
    if any(name.endswith("model.weights.h5") for name in names):
        raise FormatError(f"{path} is a Keras model, which cannot be read; {KERAS}")
    if not any(name.endswith("data.pkl") for name in names):
        inside = [name for name in names if not name.endswith("/")]
        listed = ", ".join(repr(name[:60]) for name in inside[:4]) or "nothing"
        raise FormatError(
            f"{path} is a zip file with {listed}{', …' if len(inside) > 4 else ''}; "
            "unzip it and give the file with the weights"
        )
    for entry in entries:
        # torch.save stores; a compressed entry may unpack to any size.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
            raise FormatError(f"{path}: not a file of torch.save (compressed)")


def _unreadable(path: Path, error: Exception) -> FormatError:
    """One line; PyTorch's own has many, and advises to run whatever the file holds."""
    reason = str(error).strip().split("\n")[0][:120] or type(error).__name__
    if isinstance(error, pickle.UnpicklingError) and "eights" in reason:
        reason = "objects that only running a program in it could read"
    return FormatError(
        f"{path}: not a readable file of torch.save, or more than tensors: {reason}; "
        f"save its tensors alone, in the program that made it: {SAVE}"
    )


def _describe(loaded: object) -> str:
    """What a file holds, for messages."""
    if isinstance(loaded, _PassedOver):
        return f"a whole module of class {type(loaded).__name__[:60]}"
    return f"a {type(loaded).__name__}"


def _states(value: object, size: int) -> Iterator[State]:
    """The state dicts in what was loaded, the outermost first, each of plain CPU tensors.

    Raises:
        FormatError: tensors claim more bytes than the file has.
        WeightsError: some are not ordinary ones.
    """
    layer, seen = [value], set[int]()
    for _ in range(_DEEPEST):
        found = [one for one in layer if isinstance(one, Mapping)]
        layer = []
        for mapping in found:
            if id(mapping) not in seen:  # however often it is referred to
                seen.add(id(mapping))
                state = _tensors(mapping)
                if sum(one.numel() * one.element_size() for one in state.values()) > size:
                    raise FormatError("its tensors claim more bytes than the file has")
                if state:
                    yield state
                layer += mapping.values()


def _tensors(mapping: Mapping[object, object]) -> State:
    """The entries that are tensors under a name."""
    state: State = {}
    for name, tensor in mapping.items():
        if isinstance(name, str) and type(tensor) in (Tensor, nn.Parameter):
            assert isinstance(tensor, Tensor)
            if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
                raise WeightsError(f"{name[:60]!r} is not an ordinary tensor")
            state[name] = tensor.detach()
    return state


def _fill(network: EmbeddingNetwork, state: State) -> None:
    """Put copies of the tensors, as float32, into a network built without memory."""
    expected = network.state_dict()
    filled: State = {}
    for name, slot in expected.items():
        tensor = state.get(name)
        if tensor is None and name.endswith(".num_batches_tracked"):
            tensor = torch.zeros((), dtype=torch.int64)
        if tensor is None:
            raise WeightsError(f"{network.info.architecture} needs {name}, which is not there")
        if tensor.shape != slot.shape or tensor.is_floating_point() != slot.is_floating_point():
            found = f"{_short_type(tensor)}, expected {_short_type(slot)}"
            raise WeightsError(f"{network.info.architecture}: {name} is {found}")
        filled[name] = tensor.to(slot.dtype, copy=True, memory_format=torch.contiguous_format)
    for name in state.keys() - expected.keys():
        raise WeightsError(f"{network.info.architecture} has no tensor {name[:60]!r}")
    network.load_state_dict(filled, assign=True)


def _short_type(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
