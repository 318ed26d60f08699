"""The catalogue of networks and weights: listing, inspecting, checking, converting, exporting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facetool.detection.registry import DETECTORS
from facetool.errors import FacetoolError, UsageError, WeightsError, check_choice
from facetool.files.output_file import check_output
from facetool.files.published_file import PublishedFile
from facetool.files.safetensors_texts import NETWORK_KEY, safetensors_with
from facetool.networks.registry import ARCHITECTURES, Architecture
from facetool.weights import download
from facetool.weights.catalogue import CATALOGUE, Pretrained, of_architecture, resolve
from facetool.weights.export_formats import EXPORT_SUFFIXES, ONNX, OPENVINO

if TYPE_CHECKING:
    from facetool.alignment.stated_recipe import StatedRecipe
    from facetool.networks.base import EmbeddingNetwork, NetworkInfo
    from facetool.networks.count import LayerCount

AVAILABLE, FETCHABLE, DOWNLOAD_BY_HAND = "available locally", "fetch", "download by hand"


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """Published weights, or an architecture that has none.

    Attributes:
        name: of the weights, or of the architecture.
        status: ``available locally``, ``fetch``, ``download by hand``, ``not runnable`` or ``no
            published weights``.
        path: where the weights lie, where they do.
        published: what the catalogue says of the weights.
    """

    name: str
    status: str
    path: Path | None = None
    published: Pretrained | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        if self.published is None:
            return {"name": self.name, "status": self.status}
        path = None if self.path is None else str(self.path)
        return {"status": self.status, "path": path, **asdict(self.published)}


def list_models() -> list[ListedModel]:
    """Every architecture with its published weights; loads no network."""
    rows: list[ListedModel] = []
    for architecture in ARCHITECTURES.values():
        published = of_architecture(architecture.name)
        rows += [_describe(entry) for entry in published]
        if not published:
            rows.append(ListedModel(name=architecture.name, status="no published weights"))
    return rows


def _describe(entry: Pretrained) -> ListedModel:
    path = download.find(entry)
    if path is not None:
        status = AVAILABLE
    elif not entry.readable:
        status = "not runnable"
    else:
        status = FETCHABLE if entry.package or download.fetchable(entry) else DOWNLOAD_BY_HAND
    return ListedModel(name=entry.name, status=status, path=path, published=entry)


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What is known of a network.

    Attributes:
        name: of the weights, or as it was given.
        info: the network's own description.
        paper: where the architecture was published; may be empty.
        engine: what runs the network where that is not PyTorch; nothing is counted then, and the
            four numbers are None.
        has_8_bits: whether the engine computes some of it in 8 bits.
        made_from: weights that the engine's file was made from; empty where it does not say.
        parameters: learned numbers.
        parameters_folded: the same with batch normalisation folded.
        multiply_adds: of one pass of one image.
        flops: of one pass of one image, as OpenVINO counts them.
        layers: layers with weights, by kind.
        input: channels, height and width.
        graph: name, kind and shape of every layer, of a network that is none of the known ones,
            or that another engine runs where layers are asked for.
        weights: its published weights.
        layer_counts: each layer, where that was asked for.
    """

    name: str
    info: NetworkInfo
    paper: str
    engine: str
    has_8_bits: bool
    made_from: str
    parameters: int | None
    parameters_folded: int | None
    multiply_adds: int | None
    flops: int | None
    layers: Mapping[str, int]
    input: tuple[int, int, int]
    graph: Sequence[Mapping[str, Any]] | None
    weights: Sequence[ListedModel]
    layer_counts: Sequence[LayerCount] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``recipe`` is null where nobody states one."""
        info = self.info
        counts = self.layer_counts
        return {
            "name": self.name,
            "architecture": info.architecture,
            "variant": info.variant,
            "paper": self.paper,
            "engine": self.engine,
            "has_8_bits": self.has_8_bits,
            "made_from": self.made_from,
            "parameters": self.parameters,
            "parameters_folded": self.parameters_folded,
            "multiply_adds": self.multiply_adds,
            "flops": self.flops,
            "layers": dict(self.layers),
            "embedding_size": info.embedding_size,
            "input": list(self.input),
            "recipe": None if info.recipe is None else info.recipe.as_dict(),
            "assumed": list(info.assumed),
            "threshold": None if info.threshold is None else info.threshold.as_dict(),
            "graph": self.graph,
            "file": None if info.weights_path is None else str(info.weights_path),
            "sha256": info.weights_sha256,
            "weights": [entry.as_dict() for entry in self.weights],
            **({} if counts is None else {"layer_counts": [asdict(one) for one in counts]}),
        }


def network_info(
    name: str,
    weights: Path | None = None,
    *,
    recipe: StatedRecipe | None = None,
    output: str = "",
    layers: bool = False,
) -> ModelInfo:
    """What is known of a network.

    Parameters, operations and layers are counted on the network itself; by name it is built
    without memory, so that its weights need not be there.

    Args:
        name: catalogue or architecture name, or a weights file.
        weights: file to look into instead of the published weights.
        recipe: what is known of the input, in place of what the file states.
        output: the layer whose values are the embedding, where that is not the last.
        layers: count each layer, too.

    Raises:
        UsageError: there is no such name, file or layer.
        FacetoolError: the file cannot be read.
    """
    from facetool.networks.count import count_flops, count_layers, count_parameters
    from facetool.networks.engine import EngineNetwork
    from facetool.networks.fold import fold_batch_norm
    from facetool.weights.load import input_shape

    network, published = _inspect(name, weights, recipe, output)
    shape = input_shape(network.info)
    known = ARCHITECTURES.get(network.info.architecture)
    as_it_is = network if isinstance(network, EngineNetwork) else None
    engine = as_it_is.engine_name if as_it_is else ""
    flops = None if as_it_is else count_flops(network, shape)
    return ModelInfo(
        name=network.info.weights_name or name.lower(),
        info=network.info,
        paper=known.paper if known else "",
        engine=engine,
        has_8_bits=as_it_is is not None and as_it_is.has_8_bits,
        made_from=as_it_is.made_from if as_it_is else "",
        parameters=None if as_it_is else count_parameters(network),
        parameters_folded=None if as_it_is else count_parameters(fold_batch_norm(network)),
        multiply_adds=flops.multiply_adds if flops else None,
        flops=flops.openvino if flops else None,
        layers=_count_layers(network),
        input=shape,
        graph=_graph(network, shape) if known is None or (layers and engine) else None,
        weights=[_describe(entry) for entry in published],
        layer_counts=count_layers(network, shape) if layers and not engine else None,
    )


def _graph(network: EmbeddingNetwork, shape: tuple[int, int, int]) -> list[dict[str, Any]] | None:
    """Every layer of a network that is described by data, or that another engine runs."""
    from facetool.networks.engine import EngineNetwork
    from facetool.networks.graph import GraphNetwork

    if isinstance(network, EngineNetwork):
        return [
            {"name": one.name, "kind": one.kind, "shape": list(one.shape)} for one in network.layers
        ]
    if not isinstance(network, GraphNetwork):
        return None
    return [
        {"name": node.name, "kind": node.op, "shape": list(made)}
        for node, made in zip(network.nodes, network.layer_shapes(shape), strict=True)
    ]


def _inspect(
    name: str, weights: Path | None, recipe: StatedRecipe | None, output: str
) -> tuple[EmbeddingNetwork, list[Pretrained]]:
    """The network, on the meta device unless a file is given, and its published weights."""
    import torch

    from facetool.networks.registry import create
    from facetool.weights.load import load_network, resolve_source

    entry = resolve_source(name)
    if isinstance(entry, Path) or weights is not None or recipe is not None or output:
        network = load_network(name, weights, recipe=recipe, output=output)
        return network, [e for e in CATALOGUE.values() if e.name == network.info.weights_name]
    with torch.device("meta"):
        if isinstance(entry, Architecture):
            return create(entry.name), of_architecture(entry.name)
        network = create(entry.architecture, **entry.options)
    known = ARCHITECTURES[entry.architecture]
    usual = known.plain_recipe if entry.plain and known.plain_recipe else known.recipe
    network.info = replace(
        network.info,
        variant=str(entry.options.get("pooling", "")),
        recipe=replace(usual, crop=entry.crop or usual.crop),
    )
    return network, [entry]


def _count_layers(network: EmbeddingNetwork) -> dict[str, int]:
    """Layers with weights by kind."""
    from torch import nn

    kinds = {
        nn.Conv2d: "convolution",
        nn.Linear: "fully connected",
        nn.BatchNorm2d: "batch normalisation",
        nn.PReLU: "PReLU",
    }
    layers = Counter(
        name
        for module in network.modules()
        for kind, name in kinds.items()
        if isinstance(module, kind)
    )
    return dict(layers)


def published_files(name: str) -> list[PublishedFile]:
    """The files a name means.

    Args:
        name: of a network, of weights, of a detector (of which one file is enough: its first), or
            of a detector's weights; case ignored.

    Raises:
        UsageError: there is no such name, or it is a file's.
        WeightsError: nothing is published for it.
    """
    for detector in DETECTORS.values():
        if name.lower() == detector.name:
            if not detector.weights:
                raise WeightsError(f"no weights are published for {detector.name}")
            return list(detector.weights[:1] if detector.choice else detector.weights)
        for file in detector.weights:
            if name.lower() == file.name:
                return [file]
    try:
        entry = resolve(name)
    except UsageError:
        if not Path(name).is_file():
            raise
        raise UsageError(
            f"{name} is a file, and only published weights are fetched and verified, by name; "
            "facetool models info shows what a file is"
        ) from None
    return [download.choose(entry)]


@dataclass(frozen=True, kw_only=True)
class VerifiedFile:
    """Weights compared with what their publishers state.

    Attributes:
        name: of the weights.
        path: the file; None where it is not available locally.
        check: what was compared; empty where nothing is published to compare with.
        problem: what is wrong; None where nothing is.
    """

    name: str
    path: Path | None
    check: str = ""
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        path = str(self.path or "")
        row: dict[str, Any] = {"name": self.name, "path": path, "ok": self.ok, "check": self.check}
        return row if self.ok else {**row, "problem": self.problem}


def verify(names: Sequence[str]) -> list[VerifiedFile]:
    """Compare weights with what their publishers state.

    Args:
        names: of networks, detectors or weights; none means all weights available locally.

    Raises:
        UsageError: there is no such name.
        WeightsError: nothing is published for it.
    """
    entries = [file for name in names for file in published_files(name)]
    if not names:
        entries = [
            *CATALOGUE.values(),
            *(file for one in DETECTORS.values() for file in one.weights),
        ]
    rows = []
    for entry in entries:
        path = download.find(entry)
        if path is not None:
            try:
                row = VerifiedFile(name=entry.name, path=path, check=download.check(entry, path))
            except FacetoolError as error:
                row = VerifiedFile(name=entry.name, path=path, problem=str(error))
        elif names:
            problem = f"not available locally; {download.how_to_get(entry)}"
            row = VerifiedFile(name=entry.name, path=None, problem=problem)
        else:
            continue
        rows.append(row)
    return rows


def convert(
    source: Path, target: Path, *, recipe: StatedRecipe | None = None, output: str = ""
) -> EmbeddingNetwork:
    """Turn any weights file that can be read into safetensors, with the recipe of its input.

    Args:
        source: weights file.
        target: new file, ``.safetensors``.
        recipe: what is known of the input, in place of what the file states.
        output: the layer whose values are the embedding, where that is not the last.

    Raises:
        UsageError: ``target`` is called something else, is ``source``, or is there and no network
            of facetool's.
        FacetoolError: ``source`` cannot be read, or ``target`` not be written.
    """
    from facetool.weights import safetensors
    from facetool.weights.load import load_network

    if target.suffix.lower() != ".safetensors":
        raise UsageError(f"{target}: the new file is safetensors, so call it *.safetensors")
    own = safetensors_with(NETWORK_KEY)
    check_output(target, "network of facetool's", own, inputs=[source])
    network = load_network(source, recipe=recipe, output=output)
    safetensors.save_network(network, target, source=source)
    return network


def export(
    name: str,
    target: Path,
    weights: Path | None = None,
    *,
    to: str | None = None,
    fold: bool = False,
    bgr: bool = False,
    half: bool = False,
    recipe: StatedRecipe | None = None,
    output: str = "",
) -> str:
    """Write a network as ONNX or as OpenVINO's IR, for any batch size.

    Args:
        name: catalogue or architecture name, or a weights file.
        target: new file: ``.onnx``; or ``.xml``, OpenVINO's, with the weights in the ``.bin``
            beside it.
        weights: file to take the weights from instead of the published ones.
        to: ``onnx`` or ``openvino``, which ``target`` has to be called like; default: what it is
            called like.
        fold: put batch normalisation into the layers before it.
        bgr: OpenVINO's file takes blue first.
        half: OpenVINO's file keeps the weights as float16.
        recipe: what is known of the input, in place of what the file states.
        output: the layer whose values are the embedding, where that is not the last.

    Returns:
        What the embedding is called in the file.

    Raises:
        UsageError: ``target`` is called something else, is an input, or is there and no network
            of facetool's; ONNX is asked for what only OpenVINO's files have; OpenVINO is not
            installed; there is no such network or format.
        FacetoolError: the network cannot be loaded or written.
    """
    from facetool.weights.load import load_network
    from facetool.weights.onnx_export import ONNX_OUTPUT, export_onnx, is_own
    from facetool.weights.openvino_export import OUTPUT, check_target, export_openvino

    kind = _export_format(target, to, openvino_only=bgr or half)
    source = weights or Path(name)
    if kind == OPENVINO:
        check_target(target, source)
    else:
        check_output(target, "network of facetool's", is_own, inputs=[source])
    network = load_network(name, weights, recipe=recipe, output=output)
    if kind == OPENVINO:
        export_openvino(network, target, fold=fold, bgr=bgr, half=half)
        return OUTPUT
    export_onnx(network, target, fold=fold)
    return ONNX_OUTPUT


def _export_format(target: Path, to: str | None, *, openvino_only: bool) -> str:
    """The format of a new file, which it has to be called like.

    Raises:
        UsageError: it is not, or the format cannot have what is asked.
    """
    suffix = target.suffix.lower()
    if to is None:
        to = OPENVINO if suffix == EXPORT_SUFFIXES[OPENVINO] else ONNX
    check_choice("to", to, EXPORT_SUFFIXES)
    if openvino_only and to != OPENVINO:
        raise UsageError("bgr and half are for OpenVINO: call OUT *.xml", "bgr", "half")
    if suffix != EXPORT_SUFFIXES[to]:
        owner = "OpenVINO's" if to == OPENVINO else "ONNX"
        raise UsageError(f"{target}: the new file is {owner}, so call it *{EXPORT_SUFFIXES[to]}")
    return to
