"""PyTorch state dicts: OpenFace's .pt, MobileFaceNet checkpoints, arcface_torch, our own."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facetool.alignment import recipes
from facetool.alignment.recipes import Recipe
from facetool.errors import FormatError, WeightsError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import ARCHITECTURES, create

State = dict[str, Tensor]
Rule = tuple[str, str | Callable[[re.Match[str]], str]]

# Where checkpoints keep the state dict: MobileFaceNet's training code, arcface_torch's.
_WRAPPERS = ("net_state_dict", "state_dict_backbone")

_OPENFACE_RULES: list[Rule] = [
    (r"conv1\.", "stem.0."),
    (r"bn1\.", "stem.1."),
    (r"conv2\.", "stem.5."),
    (r"bn2\.", "stem.6."),
    (r"conv3\.", "stem.8."),
    (r"bn3\.", "stem.9."),
    (r"incept", "inception."),
    (r"ln\.", "fc."),
]
_BOTTLENECK = (
    *(f"expand.{layer}" for layer in ("conv", "bn", "prelu")),
    *(f"depthwise.{layer}" for layer in ("conv", "bn", "prelu")),
    *(f"project.{layer}" for layer in ("conv", "bn")),
)
_MOBILEFACENET_RULES: list[Rule] = [
    (r"conv1\.", "body.0."),
    (r"dw_conv1\.", "body.1."),
    (
        r"blocks\.(\d{1,2})\.conv\.([0-7])\.",
        lambda match: f"body.{int(match[1]) + 2}.{_BOTTLENECK[int(match[2])]}.",
    ),
    (r"conv2\.", "body.17."),
    (r"linear7\.", "body.18."),
    (r"linear1\.conv\.", "head.fc."),
    (r"linear1\.bn\.", "head.bn."),
]
_IRESNET_RULES: list[Rule] = [
    (r"(conv1|bn1|prelu)\.", lambda match: f"stem.{match[1].rstrip('1')}."),
    (r"layer([1-4])\.", lambda match: f"stages.{int(match[1]) - 1}."),
    (r"(stages\.\d\.\d+)\.downsample\.0", r"\1.shortcut.conv"),
    (r"(stages\.\d\.\d+)\.downsample\.1", r"\1.shortcut.bn"),
    (r"bn2\.", "head.bn1."),
    (r"fc\.", "head.pre_fc1."),
    (r"features\.", "head.fc1."),
]
_IRESNET_RECIPE = Recipe(recipes.ARCFACE_112, mean=127.5, scale=1 / 127.5)
_IRESNET200 = (6, 26, 60, 6)  # deeper than the MXNet network of that name


def load(path: Path) -> EmbeddingNetwork:
    """Read a network from a file of ``torch.save``, without running any code in it.

    Known are OpenFace's ``nn4.small2.v1.pt`` (January 2016 pooling), checkpoints of
    MobileFaceNet for 112x96 crops, the iresnet of InsightFace's arcface_torch, and state dicts
    of the networks in the registry. Of the last, whatever leaves no trace among the tensors
    (pooling, eps, recipe) is taken to be the default; safetensors files keep it.

    Args:
        path: the file; its tensors are copied, so it may be replaced afterwards.

    Returns:
        The network in eval mode, float32, with its recipe.

    Raises:
        FormatError: the file is damaged, or not of ``torch.save``.
        WeightsError: its tensors are those of no known network.
    """
    state = _read_state(path)
    try:
        network, state = _recognise(state)
        _fill(network, state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    return network.eval()


def _read_state(path: Path) -> State:
    """The file's tensors by name, each a plain CPU tensor no larger than the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"  # files of before PyTorch 1.6 are not
    try:
        if zipped:
            with zipfile.ZipFile(path) as archive:
                # torch.save stores; a compressed entry may unpack to any size.
                for entry in archive.infolist():
                    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
                        raise FormatError(f"{path}: not a file of torch.save (compressed)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except FormatError:
        raise
    except Exception as error:  # the unpickler lets through whatever damage makes it stumble on
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise FormatError(
            f"{path}: not a readable file of torch.save, or more than tensors: {reason}"
        ) from error

    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and wrapper in loaded:
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded:
        raise WeightsError(f"{path}: holds a {type(loaded).__name__}, not a state dict")
    state: State = {}
    for name, value in loaded.items():
        if not isinstance(name, str) or type(value) not in (Tensor, nn.Parameter):
            raise WeightsError(
                f"{path}: not a state dict: {_short(name)} is a {type(value).__name__}"
            )
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise WeightsError(f"{path}: {_short(name)} is not an ordinary tensor")
        state[name] = value.detach()
    if sum(tensor.numel() * tensor.element_size() for tensor in state.values()) > size:
        raise FormatError(f"{path}: its tensors claim more bytes than the file has")
    return state


def _recognise(state: State) -> tuple[EmbeddingNetwork, State]:
    """The network the tensors belong to, without weights, and the tensors by its own names."""
    if "incept3a.branches.0.0.weight" in state:
        network = _build("nn4.small2", _length(state, "ln.bias"), pooling="january2016")
        return network, _rename(state, _OPENFACE_RULES)
    if "linear7.conv.weight" in state:
        network = _build("mobilefacenet-112x96", _length(state, "linear1.bn.weight"))
        renamed = _rename(state, _MOBILEFACENET_RULES)
        weight = renamed.get("head.fc.weight")
        if weight is not None and weight.shape[2:] == (1, 1):
            renamed["head.fc.weight"] = weight.flatten(1)  # stored as a 1x1 convolution
        return network, renamed
    if "layer1.0.prelu.weight" in state and "features.weight" in state:
        name, units = _iresnet_depth(state)
        network = _build(
            name,
            _length(state, "features.weight"),
            units=units,
            dropout=0.0,
            eps=1e-5,
            scale_input=False,
        )
        network.info = replace(network.info, recipe=_IRESNET_RECIPE)
        return network, _rename(state, _IRESNET_RULES)
    names = _weights_of(state)
    own = next((known for known in ARCHITECTURES if _own_names(known) == names), None)
    if own is None:
        first = ", ".join(_short(key) for key in list(state)[:3])
        raise WeightsError(
            f"{len(state)} tensors ({first}, …) that belong to no known network; readable are "
            "nn4.small2.v1.pt, MobileFaceNet 112x96, arcface_torch's iresnet and facetool's own"
        )
    return _build(own, _length(state, _last_vector(state))), state


def _build(name: str, embedding_size: int, **options: Any) -> EmbeddingNetwork:
    """A network that has shapes but no memory yet."""
    with torch.device("meta"):
        network = create(name, **options)
        if network.info.embedding_size != embedding_size:
            network = create(name, embedding_size=embedding_size, **options)
    return network


def _iresnet_depth(state: State) -> tuple[str, tuple[int, ...]]:
    """Registry name and units per stage of an iresnet."""
    stages = [re.compile(rf"layer{stage}\.\d+\.conv1\.weight") for stage in range(1, 5)]
    units = tuple(sum(bool(stage.fullmatch(name)) for name in state) for stage in stages)
    if units == _IRESNET200:
        return "lresnet200e-ir", units
    for entry in ARCHITECTURES.values():
        if entry.options.get("units") == units:
            return entry.name, units
    raise WeightsError(f"an iresnet of {units} units per stage, which is none of the known depths")


def _rename(state: State, rules: list[Rule]) -> State:
    """Apply each rule to the start of each name, in order."""
    renamed: State = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub("^" + pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _weights_of(names: Mapping[str, Any]) -> frozenset[str]:
    """Names of the tensors that matter: all but BatchNorm's counters."""
    return frozenset(name for name in names if not name.endswith(".num_batches_tracked"))


@cache
def _own_names(architecture: str) -> frozenset[str]:
    """Names of the tensors of a network in the registry."""
    with torch.device("meta"):
        return _weights_of(create(architecture).state_dict())


def _last_vector(state: State) -> str:
    """The last tensor that has a length; in every network that length is the embedding's."""
    return [name for name, tensor in state.items() if tensor.dim()][-1]


def _length(state: State, name: str) -> int:
    if name not in state or not state[name].dim():
        raise WeightsError(f"{name} is missing or empty")
    return len(state[name])


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
        raise WeightsError(f"{network.info.architecture} has no tensor {_short(name)}")
    network.load_state_dict(filled, assign=True)


def _short(name: object) -> str:
    """A name from the file, fit for one line."""
    return repr(name)[:60]


def _short_type(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
