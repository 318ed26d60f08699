"""Networks with weights, by catalogue name or from any file that can be read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch

from facetool.alignment.recipes import Crop
from facetool.errors import FormatError, UsageError, WeightsError
from facetool.networks.base import CUSTOM, EmbeddingNetwork, NetworkInfo
from facetool.networks.registry import ARCHITECTURES, Architecture
from facetool.weights.catalogue import CATALOGUE, DEFAULT, Pretrained, resolve
from facetool.weights.download import available_locally, digest, find
from facetool.weights.readers.foreign_formats import HEAD, refuse_foreign
from facetool.weights.readers.recognize import identify

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
}
"""Reader modules in ``facetool.weights.readers``, and our own ``safetensors``, by file name."""

_ALIGNMENT = 64  # bytes, of memory that PyTorch allocates

READABLE = ", ".join(_SUFFIXES)

_MXNET_LIST = struct.pack("<Q", 0x112)
_DLIB_VERSION = b"\x01\x01"
_TORCH_PICKLE = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"


def load_network(
    source: str | Path | None = None,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> EmbeddingNetwork:
    """A network with its weights, in eval mode.

    It computes what the file's own framework computes on the same input tensor (N, 3, H, W);
    ``network.recipe`` says how to make that from a photo.

    Args:
        source: catalogue or architecture name, case ignored, or a weights file; default: what
            the weights hold, or else the default network.
        weights: file to take the weights from instead of the published ones.
        device: where the network goes.

    Raises:
        UsageError: there is no such name, file or device.
        WeightsError: the weights are not on this machine, or belong to another network.
        FormatError: the file is damaged or foreign.
    """
    entry = _resolve(source or weights or DEFAULT)
    if isinstance(entry, Path):
        network = read_network(Path(weights or entry))
    elif weights is not None:
        network = read_network(Path(weights), entry)
    else:
        pretrained, path = available_locally(entry)
        network = read_network(path, pretrained)
        network.info = replace(network.info, weights_name=pretrained.name)
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"cannot use device {str(device)!r}: {reason}") from error


def read_network(path: Path, entry: Pretrained | Architecture | None = None) -> EmbeddingNetwork:
    """Read any weights file; the reader is chosen by the file's content, then by its name.

    A network from a foreign framework is compared with the known architectures; where it is
    one of them it gets that name and its crop recipe. Weights known by their checksum get
    their catalogue name.

    Args:
        path: ``.t7``, ``.params`` beside its ``-symbol.json``, ``.onnx``, ``.pt``, ``.pth``,
            ``.ckpt``, ``.safetensors`` or dlib's ``.dat``.
        entry: what the file should hold.

    Raises:
        UsageError: there is no such file.
        WeightsError: the file holds no network that can be run, or not the one it should.
        FormatError: the file is damaged or of no known format.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        reader = _choose_reader(path)
        room = "facetool.weights" if reader == "safetensors" else "facetool.weights.readers"
        load: Callable[[Path], EmbeddingNetwork] = import_module(f"{room}.{reader}").load
        network = load(path)
        sha256 = digest(path)
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror or error}") from error
    _align_memory(network)
    published = _published(path, sha256)
    name = path.name if published is None else published.name
    info = replace(network.info, weights_path=path, weights_name=name, weights_sha256=sha256)
    own = reader == "safetensors"  # such a file says all of what follows itself
    if not own and info.architecture == CUSTOM and (found := identify(network)):
        architecture, variant = found
        known = ARCHITECTURES[architecture]
        info = replace(
            _with_crop(info, known.recipe.crop),
            architecture=architecture,
            variant=variant,
            unit_length=info.unit_length and known.unit_length,
        )
    if entry is not None:
        _check_architecture(info.architecture, entry, path)
    for weights in (published, entry):
        if not own and isinstance(weights, Pretrained):
            info = _with_crop(info, weights.crop)
    network.info = info
    return network


def _resolve(source: str | Path) -> Pretrained | Architecture | Path:
    """A name's entry, or the file that ``source`` is; names come first."""
    if isinstance(source, Path):
        return source
    try:
        return resolve(source)
    except UsageError:
        path = Path(source).expanduser()
        if path.is_file() or path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
            return path
        raise


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


def _published(path: Path, sha256: str) -> Pretrained | None:
    """The catalogue's entry of a file, known by its checksum or its place in the store."""
    size = path.stat().st_size
    for pretrained in CATALOGUE.values():
        if pretrained.sha256:
            if pretrained.sha256 == sha256:
                return pretrained
        elif pretrained.size not in (None, size):
            continue
        elif pretrained.md5 and path.name == pretrained.file:
            if digest(path, "md5") == pretrained.md5:
                return pretrained
        elif not pretrained.md5 and find(pretrained) == path:
            return pretrained
    return None


def _choose_reader(path: Path) -> str:
    """The module that reads a file, by its first bytes, or else by its name."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    size = path.stat().st_size
    if head.startswith(b"version https://git-lfs"):
        raise FormatError(f"{path} is a Git LFS pointer, not the weights; fetch it with git lfs")
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
