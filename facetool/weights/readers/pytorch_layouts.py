"""Which network a PyTorch state dict belongs to, and its tensors by that network's own names.

Each layout is the naming of one code base, told by one tensor that no other has. What stands
before that tensor's name (``module.``, ``model.backbone.`` …) is a wrapper's prefix; tensors
without it, and those of a layer behind the embedding, belong to the training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from facetool.alignment import recipes
from facetool.alignment.recipes import Recipe
from facetool.errors import WeightsError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import ARCHITECTURES, create

State = dict[str, Tensor]
Rule = tuple[str, str | Callable[[re.Match[str]], str]]
Recognised = tuple[EmbeddingNetwork, State]

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
_PARTS = ("expand", "depthwise", "project")
_LAYERS = ("conv", "bn", "prelu")
_BOTTLENECK = [f"{part}.{layer}" for part in _PARTS for layer in _LAYERS]
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
_ARCFACE_TORCH = Recipe(recipes.ARCFACE_112, mean=127.5, scale=1 / 127.5)
_MAGFACE = Recipe(recipes.ARCFACE_112, scale=1 / 255, channels="BGR")
_IRESNET200 = (6, 26, 60, 6)  # deeper than the MXNet network of that name


@dataclass(frozen=True)
class Layout:
    """The naming of one code base.

    Attributes:
        marker: name of a tensor that no other layout has.
        build: makes the network, without memory, and gives the tensors its names; it is told the
            wrapper's prefix.
        behind: starts of the names of what comes after the embedding.
    """

    marker: str
    build: Callable[[State, str], Recognised]
    behind: tuple[str, ...] = ()


def recognise_layout(state: State) -> Recognised:
    """The network that tensors belong to, on the meta device, and the tensors by its own names.

    Raises:
        WeightsError: they belong to no known network, or to several.
    """
    for layout in _LAYOUTS:
        marker = layout.marker
        prefixes = [name[: -len(marker)] for name in state if f".{name}".endswith(f".{marker}")]
        if len(prefixes) > 1:
            found = " and ".join(repr(prefix[:40]) for prefix in prefixes[:2])
            raise WeightsError(f"holds several networks, whose tensors begin with {found}")
        if prefixes:
            prefix = prefixes[0]
            own = {
                name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)
            }
            return layout.build(
                {name: tensor for name, tensor in own.items() if not name.startswith(layout.behind)}
                if layout.behind
                else own,
                prefix,
            )
    return _own(state)


def build_empty(name: str, embedding_size: int, **options: Any) -> EmbeddingNetwork:
    """A network that has shapes but no memory yet."""
    with torch.device("meta"):
        network = create(name, **options)
        if network.info.embedding_size != embedding_size:
            try:
                network = create(name, embedding_size=embedding_size, **options)
            except TypeError:
                raise WeightsError(
                    f"{name} gives {network.info.embedding_size} dimensions, not {embedding_size}"
                ) from None
    return network


def _openface(state: State, prefix: str) -> Recognised:
    network = build_empty("nn4.small2", _length(state, "ln.bias"), pooling="january2016")
    return network, _rename(state, _OPENFACE_RULES)


def _mobilefacenet_112x96(state: State, prefix: str) -> Recognised:
    network = build_empty("mobilefacenet-112x96", _length(state, "linear1.bn.weight"))
    renamed = _rename(state, _MOBILEFACENET_RULES)
    weight = renamed.get("head.fc.weight")
    if weight is not None and weight.shape[2:] == (1, 1):
        renamed["head.fc.weight"] = weight.flatten(1)  # stored as a 1x1 convolution
    return network, renamed


def _iresnet(state: State, prefix: str) -> Recognised:
    """arcface_torch's, or MagFace's, which calls it ``features`` and has another eps and input."""
    magface = "features" in prefix.split(".")
    name, units = _iresnet_depth(state)
    network = build_empty(
        name,
        _length(state, "features.weight"),
        units=units,
        dropout=0.0,
        eps=2e-5 if magface else 1e-5,
        scale_input=False,
    )
    network.info = replace(network.info, recipe=_MAGFACE if magface else _ARCFACE_TORCH)
    return network, _rename(state, _IRESNET_RULES)


def _iresnet_depth(state: State) -> tuple[str, tuple[int, ...]]:
    """Registry name and units per stage of an iresnet."""
    stages = [re.compile(rf"layer{stage}\.\d+\.conv1\.weight") for stage in range(1, 5)]
    units = tuple(sum(bool(stage.fullmatch(name)) for name in state) for stage in stages)
    if units == _IRESNET200:
        return "lresnet200e-ir", units
    for entry in ARCHITECTURES.values():
        if entry.factory == "lresnet:LResNet" and entry.options.get("units") == units:
            return entry.name, units
    raise WeightsError(f"an iresnet of {units} units per stage, which is none of the known depths")


def _ir(state: State, prefix: str) -> Recognised:
    """InsightFace_Pytorch's, face.evoLVe's, CurricularFace's, or AdaFace's with its inner BN."""

    def is_convolution(place: int) -> bool:
        weight = state.get(f"body.0.res_layer.{place}.weight")
        return weight is not None and weight.dim() == 4

    bottleneck = is_convolution(7)
    options = {
        "units": _ir_units(state, bottleneck),
        "inner_bn": is_convolution(4),
        "se": any(name.startswith("body.0.res_layer.") and ".fc1." in name for name in state),
        **({"bottleneck": True} if bottleneck else {}),
    }
    for entry in ARCHITECTURES.values():
        if entry.factory == "ir_se:IRNet" and dict(entry.options) == options:
            break
    else:
        units = options["units"]
        raise WeightsError(f"an IR network of {units} units per stage, which is no known depth")
    size = _length(state, "output_layer.4.running_var")
    network = build_empty(entry.name, size)
    # CurricularFace and AdaFace have no scale and shift in their last batch normalisation.
    state.setdefault("output_layer.4.weight", torch.ones(size))
    state.setdefault("output_layer.4.bias", torch.zeros(size))
    return network, state


def _ir_units(state: State, bottleneck: bool) -> tuple[int, ...]:
    """Units per stage, which are told by their channels."""
    last = re.compile(rf"body\.\d+\.res_layer\.{'7' if bottleneck else '[34]'}\.weight")
    filters = [
        len(tensor) for name, tensor in state.items() if tensor.dim() == 4 and last.fullmatch(name)
    ]
    widest = max(filters, default=0)
    return tuple(filters.count(widest // smaller) for smaller in (8, 4, 2, 1))


_PYTORCH_STAGES = {"23": 2, "3": 3, "34": 7, "4": 8, "45": 14, "5": 15}


def _mobilefacenet_pytorch(state: State, prefix: str) -> Recognised:
    """InsightFace_Pytorch's and face.evoLVe's."""
    parts = dict(zip(("conv", "conv_dw", "project"), _PARTS, strict=True))

    def single(match: re.Match[str]) -> str:
        return f"body.{_PYTORCH_STAGES[match[1]]}.{parts[match[2]]}."

    def repeated(match: re.Match[str]) -> str:
        return f"body.{_PYTORCH_STAGES[match[1]] + int(match[2])}.{parts[match[3]]}."

    renamed = _rename(
        state,
        [
            (r"conv1\.", "body.0."),
            (r"conv2_dw\.", "body.1."),
            (r"conv_(23|34|45)\.(conv|conv_dw|project)\.", single),
            (r"conv_(3|4|5)\.model\.(\d)\.(conv|conv_dw|project)\.", repeated),
            (r"conv_6_sep\.", "body.17."),
            (r"conv_6_dw\.", "body.18."),
            (r"linear\.", "head.fc."),
            (r"bn\.", "head.bn."),
        ],
    )
    return build_empty("mobilefacenet-pytorch", _length(state, "bn.running_var")), renamed


def _mbf(state: State, prefix: str) -> Recognised:
    """arcface_torch's: layers 0 and 1, then by turns one bottleneck and several."""
    first = _count(state, r"layers\.1\.layers\.(\d+)\.layers\.0\.layers\.0\.weight")
    blocks = [first or 1]
    position = {0: 0, 1: 1}
    following = 1 + blocks[0]
    for index in range(2, 8):
        position[index] = following
        count = _count(state, rf"layers\.{index}\.layers\.(\d+)\.layers\.0\.layers\.0\.weight")
        if index % 2:
            blocks.append(count)
        following += count if index % 2 else 1
    width = _length(state, "layers.0.layers.0.weight") // 64

    def plain(match: re.Match[str]) -> str:
        return f"body.{position[int(match[1])]}.{_LAYERS[int(match[2])]}."

    def single(match: re.Match[str]) -> str:
        place = f"body.{position[int(match[1])]}"
        return f"{place}.{_PARTS[int(match[2])]}.{_LAYERS[int(match[3])]}."

    def repeated(match: re.Match[str]) -> str:
        place = f"body.{position[int(match[1])] + int(match[2])}"
        return f"{place}.{_PARTS[int(match[3])]}.{_LAYERS[int(match[4])]}."

    renamed = _rename(
        state,
        [
            (r"layers\.([1-7])\.layers\.(\d+)\.layers\.([0-2])\.layers\.([0-2])\.", repeated),
            (r"layers\.([2-7])\.layers\.([0-2])\.layers\.([0-2])\.", single),
            (r"layers\.([01])\.layers\.([0-2])\.", plain),
            (r"conv_sep\.layers\.([0-2])\.", lambda m: f"body.{following}.{_LAYERS[int(m[1])]}."),
            (
                r"features\.layers\.0\.layers\.([01])\.",
                lambda m: f"body.{following + 1}.{_LAYERS[int(m[1])]}.",
            ),
            (r"features\.layers\.2\.", "head.fc."),
            (r"features\.layers\.3\.", "head.bn."),
        ],
    )
    for entry in ARCHITECTURES.values():
        own = (entry.options.get("blocks", (1, 4, 6, 2)), entry.options.get("width", 1))
        if entry.factory == "mobilefacenet:mobilefacenet_pytorch" and own == (
            tuple(blocks),
            width,
        ):
            return build_empty(entry.name, _length(state, "features.layers.3.running_var")), renamed
    raise WeightsError(f"a MobileFaceNet of {tuple(blocks)} blocks and width {width}, not known")


def _vision_transformer(state: State, prefix: str) -> Recognised:
    width = _length(state, "norm.weight")
    depth = _count(state, r"blocks\.(\d+)\.norm1\.weight")
    state.pop("mask_token", None)
    for entry in ARCHITECTURES.values():
        if entry.factory.startswith("vision_transformer:") and entry.options == {
            "width": width,
            "blocks": (depth,),
        }:
            return build_empty(entry.name, _length(state, "feature.3.running_var")), state
    raise WeightsError(f"a vision transformer of {depth} blocks of width {width}, not known")


def _named(architecture: str, length: str) -> Callable[[State, str], Recognised]:
    """A network whose modules are named as the file's; the tensor has the embedding's length."""

    def make(state: State, prefix: str) -> Recognised:
        return build_empty(architecture, _length(state, length)), state

    return make


def _light_cnn(state: State, prefix: str) -> Recognised:
    """All embeddings have 256 dimensions; the first versions halve twice as many."""
    if "features.0.filter.weight" in state:
        return build_empty("lightcnn-9", _length(state, "fc1.filter.bias") // 2), state
    if "fc.weight" in state:
        return build_empty("lightcnn-29v2", _length(state, "fc.bias")), state
    return build_empty("lightcnn-29", _length(state, "fc.filter.bias") // 2), state


_LAYOUTS = (
    Layout("incept3a.branches.0.0.weight", _openface),
    Layout("linear7.conv.weight", _mobilefacenet_112x96),
    Layout("layer1.0.prelu.weight", _iresnet),
    Layout("input_layer.0.weight", _ir),
    Layout("conv_6_dw.conv.weight", _mobilefacenet_pytorch),
    Layout("conv_sep.layers.0.weight", _mbf),
    Layout("feature.3.running_mean", _vision_transformer),
    Layout(
        "repeat_1.0.branch0.conv.weight",
        _named("inception-resnet-v1", "last_bn.running_var"),
        ("logits.",),
    ),
    Layout("features.0.filter.weight", _light_cnn, ("fc2.",)),
    Layout("block1.0.conv1.filter.weight", _light_cnn, ("fc2.",)),
    Layout("conv_1_1.weight", _named("vgg-face", "fc7.bias"), ("fc8.",)),
)


def _own(state: State) -> Recognised:
    """A network of the registry by its own names, with or without DDP's ``module.``."""
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    names = _weights_of(state)
    built = [
        build_empty(architecture, _length(state, _last_vector(architecture)))
        for architecture in ARCHITECTURES
        if _own_names(architecture) == names
    ]
    for network in built:  # several MobileFaceNets differ in their shapes only
        if all(state[name].shape == network.state_dict()[name].shape for name in names):
            return network, state
    if built:
        return built[0], state
    first = ", ".join(repr(name)[:60] for name in list(state)[:3])
    raise WeightsError(
        f"{len(state)} tensors ({first}, …) that belong to no known network; facetool models list "
        "shows those that are known"
    )


def _weights_of(names: Mapping[str, Any]) -> frozenset[str]:
    """Names of the tensors that matter: all but BatchNorm's counters."""
    return frozenset(name for name in names if not name.endswith(".num_batches_tracked"))


@cache
def _own_state(architecture: str) -> State:
    """The tensors of a network in the registry, without memory."""
    with torch.device("meta"):
        return create(architecture).state_dict()


def _own_names(architecture: str) -> frozenset[str]:
    return _weights_of(_own_state(architecture))


def _last_vector(architecture: str) -> str:
    """The last tensor that has a length; in networks of any embedding size that is it."""
    return [name for name, tensor in _own_state(architecture).items() if tensor.dim()][-1]


def _rename(state: State, rules: list[Rule]) -> State:
    """Apply each rule to the start of each name, in order."""
    renamed: State = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub("^" + pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def _count(state: State, pattern: str) -> int:
    """How many tensors have a name of a pattern."""
    compiled = re.compile(pattern)
    return sum(bool(compiled.fullmatch(name)) for name in state)


def _length(state: State, name: str) -> int:
    if name not in state or not state[name].dim():
        raise WeightsError(f"{name} is missing or empty")
    return len(state[name])
