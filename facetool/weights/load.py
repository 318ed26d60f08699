"""Networks with weights, by catalogue name or from any file that can be read."""

from __future__ import annotations

import hashlib
import logging
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch

from facetool.alignment.recipes import OPENFACE_224, Crop, Recipe
from facetool.alignment.stated_recipe import StatedRecipe, numbers
from facetool.errors import FormatError, UsageError, WeightsError
from facetool.files.input_file import why_no_file
from facetool.networks.base import CUSTOM, EmbeddingNetwork, NetworkInfo
from facetool.networks.devices import resolve_device
from facetool.networks.graph import GraphNetwork, cut
from facetool.networks.registry import ARCHITECTURES, Architecture
from facetool.weights.catalogue import CATALOGUE, DEFAULT, Pretrained, resolve
from facetool.weights.download import available_locally, digest, find
from facetool.weights.epochs import weights_file
from facetool.weights.finite import check_weights_finite
from facetool.weights.readers.foreign_formats import WEIGHTS_HEAD_BYTES, refuse_foreign
from facetool.weights.readers.recognize import candidates, recognize
from facetool.weights.shapes import measure_embedding_size

_SUFFIXES = {
    ".t7": "torch7_network",
    ".params": "mxnet",
    ".onnx": "onnx",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".ckpt": "pytorch",
    ".bin": "pytorch",
    ".safetensors": "safetensors",
    ".dat": "dlib_dat",
    ".xml": "openvino_ir",
}
"""Reader modules in ``facetool.weights.readers``, and our own ``safetensors``, by file name."""

_CHOOSES_OUTPUT = ("onnx", "mxnet")
"""Readers that leave away what an output does not need."""

_LOGGER = logging.getLogger(__name__)

_ALIGNMENT = 64  # bytes, of memory that PyTorch allocates

READABLE = ", ".join(_SUFFIXES)
"""Suffixes of weights files, for messages."""

_MXNET_LIST = struct.pack("<Q", 0x112)
_DLIB_VERSION = b"\x01\x01"
_TORCH_PICKLE = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"


def load_network(
    source: str | Path | None = None,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    recipe: StatedRecipe | Recipe | str | None = None,
    output: str = "",
) -> EmbeddingNetwork:
    """A network with its weights, in eval mode.

    It computes what the file's own framework computes on the same input tensor (N, C, H, W);
    ``network.recipe`` says how to make that from a photo. What of it neither the file nor
    ``recipe`` states and was assumed is said once, by ``logging`` as a warning, and stands in
    ``network.info.assumed``.

    Args:
        source: catalogue or architecture name, case ignored, or a weights file, which may be
            MXNet's ``PREFIX,EPOCH``; default: what the weights hold, or else the default network.
        weights: file to take the weights from instead of the published ones.
        device: where the network goes, as :func:`facetool.resolve_device` takes it; what runs the
            network copies it to where that runs.
        recipe: what is known of the input, in place of what the file states: a recipe, its name
            (``imagenet``; docs/weights.md lists them), or parts of one.
        output: the layer whose values are the embedding, where that is not the last.

    Raises:
        UsageError: there is no such name, file, device, recipe or layer, or the recipe is not
            complete.
        WeightsError: the weights are not on this machine, or belong to another network.
        FormatError: the file is damaged or foreign.
    """
    device = resolve_device(device)
    stated = StatedRecipe.given(recipe)
    if weights == "":  # which Path takes for this folder
        raise UsageError("weights='': give a file", "weights=''")
    entry = resolve_source(named_source(source, weights))
    if isinstance(entry, Path):
        network = read_network(weights_file(weights or entry), recipe=stated, output=output)
    elif weights is not None:
        network = read_network(weights_file(weights), entry, recipe=stated, output=output)
    else:
        pretrained, path = available_locally(entry)
        network = read_network(path, pretrained, recipe=stated, output=output)
        if not (stated or output):
            network.info = replace(network.info, weights_name=pretrained.name)
    if network.info.assumed:
        _LOGGER.warning("%s", assumption(network.info))
    return network.to(device)


def assumption(info: NetworkInfo) -> str:
    """One line on what was assumed of a network's input."""
    recipe = info.recipe
    assert recipe is not None
    words = {
        "channels": recipe.channels,
        "scaling": f"(pixels - {numbers(recipe.mean)}) * {numbers(recipe.scale)}",
        "crop": f"crop {recipe.crop}",
    }
    assumed = "; ".join(words[part] for part in info.assumed)
    return (
        f"{info.weights_path}: does not state all of its input; assumed: {assumed} "
        "(state a recipe, or crop, mean, scale and channels, where that is wrong)"
    )


def named_source(source: str | Path | None, weights: str | Path | None) -> str | Path:
    """The name or file that says what a network is: the default one's where neither is given."""
    if source is None:
        return DEFAULT if weights is None else weights
    return source


def resolve_source(source: str | Path) -> Pretrained | Architecture | Path:
    """What a user means by a name or a file; names come first.

    Args:
        source: catalogue or architecture name, case ignored, or a weights file, which may be
            MXNet's ``PREFIX,EPOCH``.

    Returns:
        The name's entry, or the file, which may not be there.

    Raises:
        UsageError: it is no name, and does not look like a file.
    """
    if isinstance(source, Path):
        return source
    try:
        return resolve(source)
    except UsageError:
        path = weights_file(Path(source).expanduser())
        if path.is_file() or path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
            return path
        raise


def read_network(
    path: Path,
    entry: Pretrained | Architecture | None = None,
    *,
    recipe: StatedRecipe | None = None,
    output: str = "",
) -> EmbeddingNetwork:
    """Read any weights file; the reader is chosen by the file's content, then by its name.

    A network from a foreign framework is compared with the known architectures; where it is
    one of them it gets that name and its crop recipe. Weights known by their checksum get
    their catalogue name.

    Args:
        path: of one of the kinds in :data:`READABLE`; a ``.params`` lies beside its
            ``-symbol.json``, an ``.xml`` beside its ``.bin``.
        entry: what the file should hold.
        recipe: what is known of the input, in place of what the file states.
        output: the layer whose values are the embedding, where that is not the last.

    Returns:
        The network, whose recipe raises an error where nobody states one and none is likely.

    Raises:
        UsageError: there is no such file or layer, or the recipe is not complete.
        WeightsError: the file holds no network that can be run, or not the one it should, or
            weights that are not finite.
        FormatError: the file is damaged or of no known format.
    """
    if not path.is_file():
        raise UsageError(f"{path}: {why_no_file(path)}")
    try:
        reader = _choose_reader(path)
        package = "facetool.weights" if reader == "safetensors" else "facetool.weights.readers"
        module = import_module(f"{package}.{reader}")
        with ThreadPoolExecutor(1) as beside:  # hashing leaves Python to others
            checksum = beside.submit(digest, path)
            if output and reader in _CHOOSES_OUTPUT:
                network: EmbeddingNetwork = module.load(path, output)
            else:
                network = module.load(path)
                network = _cut(network, output, path) if output else network
            sha256 = checksum.result()
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    check_weights_finite(network, path)
    _align_memory(network)
    published = CATALOGUE.get(network.info.weights_name) or _published(path, sha256)
    known_sha256 = network.info.weights_sha256 or sha256  # of before a threshold was written in
    info = replace(network.info, weights_path=path, weights_sha256=known_sha256)
    own = reader == "safetensors"  # such a file says all of what follows itself
    if not own and info.architecture == CUSTOM and (found := recognize(network)):
        architecture, variant = found
        known = ARCHITECTURES[architecture]
        info = replace(
            _with_recipe(info, known, network),
            architecture=architecture,
            variant=variant,
            unit_length=info.unit_length and known.unit_length,
        )
    if entry is not None:
        _check_architecture(info.architecture, entry, path)
    for weights in (published, entry):
        if not own and isinstance(weights, Pretrained):
            info = _with_crop(info, weights.crop)
    network.info = _with_statement(network, info, published, recipe, output)
    return network


def _align_memory(network: EmbeddingNetwork) -> None:
    """Let every tensor start where PyTorch's own do.

    Matrix products round differently elsewhere, and a converted file must give the same bits.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.data_ptr() % _ALIGNMENT:
            tensor.data = tensor.detach().clone()


def _check_architecture(found: str, entry: Pretrained | Architecture, path: Path) -> None:
    wanted = entry.architecture if isinstance(entry, Pretrained) else entry.name
    if found != wanted and wanted not in _twins(found):
        raise WeightsError(f"{path} holds {found}, not {wanted}")


def _twins(name: str) -> list[str]:
    """Architectures that are built alike under several names (LResNet49E-IR and 50)."""
    if name not in ARCHITECTURES:
        return []
    one = ARCHITECTURES[name]
    return [
        other.name
        for other in ARCHITECTURES.values()
        if (other.factory, other.options) == (one.factory, one.options)
    ]


def _with_crop(info: NetworkInfo, crop: Crop | None) -> NetworkInfo:
    """With the crop that is known of an architecture or of its weights, if one is.

    The input scaling stays as the reader found it: it depends on what the file does inside.
    """
    if crop is None or info.recipe is None:
        return info
    return replace(info, recipe=replace(info.recipe, crop=crop))


def _with_recipe(info: NetworkInfo, known: Architecture, network: EmbeddingNetwork) -> NetworkInfo:
    """With the recipe of an architecture, as far as the file leaves it open.

    Where the reader has assumed a scaling, or none because the network scales its input itself,
    the architecture's version that does the same says whether that is right.
    """
    if info.recipe is None:
        crop = known.recipe.crop
        fits = info.input_size in (None, (crop.height, crop.width))
        return replace(info, recipe=known.recipe) if fits and not _scales(network) else info
    if not info.assumed:
        return _with_crop(info, known.recipe.crop)
    inside = (info.recipe.mean, info.recipe.scale) == (0.0, 1.0)
    for recipe in (known.recipe, known.plain_recipe):
        if recipe is not None and ((recipe.mean, recipe.scale) == (0.0, 1.0)) == inside:
            others = {ARCHITECTURES[name].recipe.channels for name in candidates(network)}
            assumed = ("channels",) if len(others) > 1 else ()
            return replace(info, recipe=recipe, assumed=assumed)
    return _with_crop(info, known.recipe.crop)


def _scales(network: EmbeddingNetwork) -> bool:
    """Whether a network read as a graph begins with operations on its input."""
    first = network.nodes[0].op if isinstance(network, GraphNetwork) else ""
    return first in ("add_scalar", "mul_scalar", "batch_norm", "identity")


def _with_statement(
    network: EmbeddingNetwork,
    info: NetworkInfo,
    published: Pretrained | None,
    stated: StatedRecipe | None,
    output: str,
) -> NetworkInfo:
    """With what a user states of the input, and the name and threshold where these still hold."""
    path = info.weights_path
    assert path is not None
    if stated is not None:
        try:
            recipe = stated.applied_to(info.recipe)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        _check_size(network, info, recipe)
        assumed = tuple(part for part in info.assumed if part not in stated.parts)
        if recipe != info.recipe:
            info = replace(info, threshold=None)
            published = None
        info = replace(info, recipe=recipe, assumed=assumed)
    if output:
        # Two layers of one file are two networks, also to folders that know weights by checksum.
        sha256 = hashlib.sha256(f"{info.weights_sha256} {output}".encode()).hexdigest()
        name = f"{path.name}, {output}"
        return replace(info, threshold=None, weights_name=name, weights_sha256=sha256)
    if published is None:
        return replace(info, weights_name=path.name)
    threshold = info.threshold or published.threshold
    return replace(info, weights_name=published.name, threshold=threshold)


def _check_size(network: EmbeddingNetwork, info: NetworkInfo, recipe: Recipe) -> None:
    """Refuse crops of another size than the file declares, or the network takes.

    Raises:
        UsageError: they are of another.
    """
    crop = recipe.crop
    problem = ""
    if info.input_size not in (None, (crop.height, crop.width)):
        height, width = info.input_size or (0, 0)
        problem = f"it takes {width}x{height}"
    else:
        try:
            measure_embedding_size(network, recipe.shape)
        except WeightsError as error:
            problem = str(error)
    if problem:
        raise UsageError(
            f"{info.weights_path} takes no crops of {crop.width}x{crop.height} pixels, "
            f"{recipe.channels}: {problem}"
        )


def _cut(network: EmbeddingNetwork, output: str, path: Path) -> EmbeddingNetwork:
    """The network up to a layer."""
    if not isinstance(network, GraphNetwork):
        raise UsageError(f"{path}: this network has one output only, not {output!r}")
    try:
        part = cut(network, output)
        size = measure_embedding_size(part, input_shape(network.info))
    except (UsageError, WeightsError) as error:
        raise UsageError(f"{path}: {error}") from None
    part.info = replace(part.info, embedding_size=size)
    return part


def input_shape(info: NetworkInfo) -> tuple[int, int, int]:
    """(C, H, W) that a network was found to run with."""
    if info.recipe is not None:
        return info.recipe.shape
    return (3, *(info.input_size or (OPENFACE_224.height, OPENFACE_224.width)))


def _published(path: Path, sha256: str) -> Pretrained | None:
    """The catalogue's entry of a file, known by its checksum or its place in the store."""
    size = path.stat().st_size
    for pretrained in CATALOGUE.values():
        if pretrained.sha256:
            if pretrained.sha256 == sha256:
                return pretrained
        elif pretrained.size not in (None, size):
            continue
        elif pretrained.md5 and path.name == Path(pretrained.file).name:
            if digest(path, "md5") == pretrained.md5:
                return pretrained
        elif not pretrained.md5 and find(pretrained) == path:
            return pretrained
    return None


def _choose_reader(path: Path) -> str:
    """The module that reads a file, by its first bytes, or else by its name."""
    with path.open("rb") as file:
        head = file.read(WEIGHTS_HEAD_BYTES)
    size = path.stat().st_size
    if head.startswith(b"version https://git-lfs"):
        raise FormatError(f"{path} is a Git LFS pointer, not the weights; fetch it with git lfs")
    if head.lstrip()[:1] == b"<" and b"<net" in head:
        return "openvino_ir"
    if head.lstrip()[:1] == b"<":
        raise FormatError(f"{path} is a web page, not weights; download the file itself")
    if len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= size - 8:
        return "safetensors"
    if head.startswith(_MXNET_LIST):
        return "mxnet"
    if head.startswith((b"PK\x03\x04", _TORCH_PICKLE)):
        return "pytorch"
    refuse_foreign(path, head)
    named = _SUFFIXES.get(path.suffix.lower())
    if path.name.endswith("-symbol.json"):
        raise FormatError(f"{path} describes a network; give the .params file beside it")
    if named is None:
        # A Torch7 file starts with the type of its root object; 4 is a torch class.
        if head.startswith((b"\x04\0\0\0", b"4\n")):
            return "torch7_network"
        if head.startswith(_DLIB_VERSION):
            return "dlib_dat"
        raise FormatError(f"{path} is not a weights file; readable are {READABLE}")
    return named
