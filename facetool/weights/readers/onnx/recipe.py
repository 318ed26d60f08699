"""What is known of an ONNX network's input: stated in its metadata, or seen in its first steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, Crop, Recipe
from facetool.alignment.stated_recipe import PARTS
from facetool.networks.base import NetworkInfo
from facetool.networks.engine import EngineNetwork
from facetool.networks.graph import INPUT, GraphNetwork, Node
from facetool.weights.readers.stated import Stated, read_description

if TYPE_CHECKING:
    from onnx import ModelProto

METADATA_KEY = "facetool"
"""Key in a model's metadata of what :mod:`facetool.weights.onnx_export` says about it."""


def stated_info(model: ModelProto) -> Stated | None:
    """What the metadata state, if anything.

    Raises:
        WeightsError: they are damaged.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return read_description(entry.value)[0]
    return None


def _as_insightface(network: GraphNetwork | EngineNetwork) -> bool:
    """Whether the input is scaled as in InsightFace's MXNet networks, which all take RGB."""
    if isinstance(network, EngineNetwork):
        return False
    first, second = (*network.nodes, *network.nodes)[:2]
    return (
        (first.op, first.attributes.get("value")) == ("add_scalar", -127.5)
        and first.inputs == (INPUT,)
        and (second.op, second.attributes.get("value")) == ("mul_scalar", 1 / 128)
    )


_SCALING = ("add_scalar", "mul_scalar", "batch_norm", "add", "sub", "mul", "div")
_MOVING = ("identity", "permute", "flip", "slice", "pick", "constant")


def _is_channel_wise(step: Node) -> bool:
    """Whether a step is a factor and a summand for each channel."""
    return (
        step.op == "conv"
        and step.attributes["groups"] == step.attributes["in_channels"]
        and list(step.attributes["kernel_size"]) == [1, 1]
    )


def _scales_input(network: GraphNetwork) -> bool:
    """Whether the input meets a shift, a factor or a batch normalisation before anything else."""
    plain = {INPUT}
    for node in network.nodes:
        if not plain.isdisjoint(node.inputs):
            if node.op in _SCALING or _is_channel_wise(node):
                return True
            if node.op in _MOVING:
                plain.add(node.name)
    return False


def with_recipe(
    info: NetworkInfo,
    network: GraphNetwork | EngineNetwork,
    stated: Stated | None,
    crop: Crop,
    *,
    gray: bool,
) -> NetworkInfo:
    """The description with what the metadata state, or else with what may be assumed.

    Args:
        info: of the network.
        network: read from the file.
        stated: what the metadata say.
        crop: whose size the network takes.
        gray: whether the input has one channel.
    """
    if stated is not None:
        if isinstance(network, EngineNetwork):
            # Quantising keeps what the export said of itself, but these are not those weights.
            stated = stated._replace(weights_name="")
        return replace(info, **stated._asdict())
    if crop not in (ARCFACE_112, ARCFACE_112X96):
        return info
    if gray:
        assumed = tuple(part for part in PARTS if part != "channels")
        return replace(info, recipe=_assumed_recipe(network, crop, "gray"), assumed=assumed)
    assumed = () if _as_insightface(network) else PARTS
    return replace(info, recipe=_assumed_recipe(network, crop, "RGB"), assumed=assumed)


def _assumed_recipe(network: GraphNetwork | EngineNetwork, crop: Crop, channels: str) -> Recipe:
    """Pixels 0…255 where the graph scales them itself, else arcface_torch's scaling."""
    if isinstance(network, EngineNetwork) or _scales_input(network):
        return Recipe(crop, channels=channels)
    return Recipe(crop, channels=channels, mean=127.5, scale=1 / 127.5)
