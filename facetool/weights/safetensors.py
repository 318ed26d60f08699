"""facetool's own weights files: safetensors whose header says everything about the network.

Next to the tensors there is one text, ``facetool``, with a JSON object: format version,
architecture and the options that build it (for a converted network, the nodes of its graph),
recipe, embedding size, and where the weights came from. No other file is needed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from shutil import copyfileobj
from stat import S_IMODE
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from facetool.alignment.recipes import Recipe
from facetool.alignment.stated_recipe import PARTS
from facetool.errors import FacetoolError, FormatError, OutputError, WeightsError, one_line
from facetool.files.atomic import atomic_write
from facetool.files.json_file import parse_json
from facetool.files.safetensors_texts import CLASSIFIER_KEY, NETWORK_KEY
from facetool.networks.base import CUSTOM, EmbeddingNetwork
from facetool.networks.engine import check_has_weights
from facetool.networks.graph import FUNCTIONS, MODULES, Node, build_graph
from facetool.networks.pair_threshold import PairThreshold
from facetool.networks.registry import ARCHITECTURES, architecture, create, stated_unit_length
from facetool.weights.catalogue import CATALOGUE
from facetool.weights.download import digest
from facetool.weights.readers.pytorch import from_states
from facetool.weights.readers.recognize import POOLINGS
from facetool.weights.shapes import measure_embedding_size

NETWORK_VERSION = 1

_LONGEST_HEADER = 16 << 20
_BLOCK = 1 << 20
_LARGEST = 1 << 24  # no size, width or stride of a face network comes near
_DEPTHS = ("units", "blocks")  # options that say how many layers are built


def save_network(
    network: EmbeddingNetwork,
    path: Path,
    *,
    source: Path | None = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a network, whole or not at all.

    Args:
        network: any; it stays as it is.
        path: of the new file.
        source: the weights file it was converted from, to be named with its checksum.
        training: JSON values that say how it was trained.

    Raises:
        WeightsError: nobody states how the network's input is made.
        OutputError: the file cannot be written.
        WeightsError: another engine runs the network, which has no weights here.
    """
    check_has_weights(network)
    info = network.info
    _ = network.recipe  # without one the file could not be read again
    header: dict[str, Any] = {"format": NETWORK_VERSION, **info.as_dict()}
    if source is not None:
        checksum, known = digest(source), info.weights_sha256
        header["source"] = {"file": source.name, "sha256": checksum, "name": info.weights_name}
        if known and known != checksum:  # a layer within, or a file with a threshold written in
            header["source"]["known_as"] = known
    if training is not None:
        header["training"] = dict(training)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    # The library opens the file itself, by name, and so fills the one that is open here.
    with atomic_write(path) as file:
        try:
            mode = os.fstat(file.fileno()).st_mode
            save_file(tensors, file.name, metadata={NETWORK_KEY: json.dumps(header)})
            Path(file.name).chmod(S_IMODE(mode))  # the library's own file is for its owner only
        except SafetensorError as error:
            raise OutputError(f"cannot write {path}: {error}") from error


def save_threshold(path: Path, threshold: PairThreshold) -> None:
    """Write a threshold into a file of :func:`save_network`, whose tensors stay as they are.

    Embeddings know their weights by the file's checksum, which this changes. So the file keeps
    the one it had, with that of its tensors, and goes on by it.

    Raises:
        FormatError: the file is damaged.
        OutputError: it cannot be written.
    """
    checksum = load(path).info.weights_sha256 or digest(path)
    with path.open("rb") as source:
        (length,) = struct.unpack("<Q", source.read(8))
        texts = parse_json(source.read(length), "the header")
        header = parse_json(texts["__metadata__"][NETWORK_KEY], "the header")
        header["threshold"] = threshold.as_dict()
        header["calibrated"] = {"sha256": checksum, "tensors": _rest_sha256(source)}
        texts["__metadata__"][NETWORK_KEY] = json.dumps(header)
        text = json.dumps(texts, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        source.seek(8 + length)
        with atomic_write(path) as file:
            file.write(struct.pack("<Q", len(text)) + text)
            copyfileobj(source, file)


def known_checksums(path: Path) -> set[str]:
    """The checksums by which embeddings of a network saved here, or of its source, know it.

    Raises:
        FormatError: the file is damaged, or is not one of facetool's.
    """
    checksums = {load(path).info.weights_sha256 or digest(path)}
    with safe_open(path, framework="pt") as file:
        source = _read_header((file.metadata() or {}).get(NETWORK_KEY, "")).get("source")
    if isinstance(source, dict):
        checksums.update(str(source[key]) for key in ("sha256", "known_as") if key in source)
    return checksums


def _rest_sha256(file: IO[bytes]) -> str:
    """The checksum of what follows in a file."""
    value = hashlib.sha256()
    while block := file.read(_BLOCK):
        value.update(block)
    return value.hexdigest()


def _calibrated_sha256(path: Path, header: Mapping[str, Any]) -> str:
    """The checksum that a file had before a threshold was written into it, or nothing.

    Raises:
        FormatError: its tensors are no longer those of then.
    """
    match header.get("calibrated"):
        case None:
            return ""
        case {"sha256": str(before), "tensors": str(tensors)}:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                file.seek(8 + length)
                if _rest_sha256(file) == tensors:
                    return before
    raise FormatError("its threshold was measured on other weights; write it again")


def load(path: Path) -> EmbeddingNetwork:
    """Read a network written by :func:`save_network`, or another's tensors of a known layout.

    Returns:
        The network in eval mode, float32, with the recipe it was saved with, or else its layout's.

    Raises:
        FormatError: the file is damaged.
        WeightsError: it is a classifier, or another's, and its tensors are those of no known
            network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            if CLASSIFIER_KEY in texts:
                raise WeightsError(
                    f"{path} is a classifier, not a network; facetool classify infer and serve "
                    "take it"
                )
            text = texts.get(NETWORK_KEY)
            header = None if text is None else _read_header(text)
            tensors = {name: _read_tensor(file, name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FormatError(f"{path}: not a readable safetensors file: {error}") from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    if header is None:
        try:
            return from_states([tensors])
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from None
    try:
        network = _build(header, tensors)
        network.info = replace(
            network.info,
            architecture=header["architecture"],
            variant=header["variant"],
            recipe=Recipe.from_dict(header["recipe"]),
            embedding_size=header["embedding_size"],
            assumed=_read_assumed(header),
            unit_length=stated_unit_length(header),
            threshold=_read_threshold(header),
            weights_name=_source_name(header),
            weights_sha256=_calibrated_sha256(path, header),
        )
        _check_output(network.eval())
    except FacetoolError as error:
        raise FormatError(f"{path}: {error}") from error
    return network


def _read_header(text: str) -> dict[str, Any]:
    """The ``facetool`` text, its fields of the right types."""
    if len(text) > _LONGEST_HEADER:
        raise FormatError("the description is too long to be true")
    header = parse_json(text, "the description")
    kinds = {
        "format": int,
        "architecture": str,
        "variant": str,
        "options": dict,
        "recipe": dict,
        "embedding_size": int,
    }
    if header.get("format") != NETWORK_VERSION:
        raise FormatError(f"written by a newer facetool (format {header.get('format')!r})")
    for name, kind in kinds.items():
        if not isinstance(header.get(name), kind):
            raise FormatError(f"the description has no proper {name!r}")
    if header["variant"] not in ("", *POOLINGS):
        raise FormatError("the description names an unknown variant")
    return header


def _read_assumed(header: Mapping[str, Any]) -> tuple[str, ...]:
    assumed = header.get("assumed", [])
    if not isinstance(assumed, list) or not set(map(str, assumed)) <= set(PARTS):
        raise FormatError("the description has no proper 'assumed'")
    return tuple(assumed)


def _read_threshold(header: Mapping[str, Any]) -> PairThreshold | None:
    stated = header.get("threshold")
    if stated is None:
        return None
    if not isinstance(stated, dict):
        raise FormatError("the description has no proper 'threshold'")
    return PairThreshold.from_dict(stated)


def _source_name(header: Mapping[str, Any]) -> str:
    """The catalogue's name of the weights that the file was converted from, or nothing."""
    source = header.get("source")
    if not isinstance(source, dict):
        return ""
    for published in CATALOGUE.values():
        if published.sha256 and published.sha256 == source.get("sha256"):
            return published.name
    name = source.get("name")
    return name if isinstance(name, str) and name in CATALOGUE else ""


def _read_tensor(file: Any, name: str) -> Tensor:
    """A copy, because the library's tensors start at any byte of the mapped file.

    Matrix products round differently on unaligned numbers.
    """
    tensor: Tensor = file.get_tensor(name)
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)


def _build(header: Mapping[str, Any], tensors: dict[str, Tensor]) -> EmbeddingNetwork:
    """The network, built without memory and then filled.

    Raises:
        FacetoolError: it cannot be built, or the tensors are not its own.
    """
    options = header["options"]
    if "nodes" in options:
        if header["architecture"] not in (*ARCHITECTURES, CUSTOM):
            raise FormatError("the description names an unknown architecture")
        prefix = "layers."
        named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        return build_graph(_read_nodes(options["nodes"]), named)
    entry = architecture(header["architecture"])
    _check_options(entry.factory, options, len(tensors))
    try:
        with torch.device("meta"):
            network = create(entry.name, **options)
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise FormatError(f"{entry.name} cannot be built with {options}: {one_line(e)}") from e
    try:
        network.load_state_dict(tensors, assign=True)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = one_line(error, 300)
        raise FormatError(f"the tensors are not those of {entry.name}: {reason}") from error
    return network


def _check_options(factory: str, options: Mapping[str, Any], tensors: int) -> None:
    """Refuse what the factory does not take, and depths beyond the tensors there are."""
    module, function = factory.split(":")
    known = inspect.signature(getattr(import_module(f"facetool.networks.{module}"), function))
    for name, value in options.items():
        if name not in known.parameters:
            raise FormatError(f"unknown option {name!r}")
        _check_value(name, value)
        if name in _DEPTHS and (not isinstance(value, list) or sum(value) > tensors):
            raise FormatError(f"option {name!r} is {value}")


def _check_value(name: str, value: object) -> None:
    """Numbers of sane size, texts, and lists of such numbers are all that options are made of."""
    if isinstance(value, str) and len(value) < 100:
        return
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(n, int | float) and abs(n) <= _LARGEST for n in numbers):
        raise FormatError(f"option {name!r} has a value that none can have")


def _read_nodes(rows: object) -> list[Node]:
    """The nodes of a graph, from JSON."""
    if not isinstance(rows, list):
        raise FormatError("the graph is not a list")
    nodes = []
    for row in rows:
        match row:
            case [str(name), str(op), list(inputs), dict(attributes)] if _all_texts(inputs):
                _check_attributes(name, op, attributes)
                nodes.append(Node(name, op, tuple(inputs), attributes))
            case _:
                raise FormatError(f"graph: {str(row)[:60]} is not a layer")
    return nodes


def _all_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _check_attributes(name: str, op: str, attributes: Mapping[str, Any]) -> None:
    """Attributes are arguments the operation takes, and numbers, lists of numbers or null."""
    allowed = _arguments(op)
    for key, value in attributes.items():
        if allowed is not None and key not in allowed:
            raise FormatError(f"graph: {name} ({op}) has no argument {key!r}")
        if isinstance(value, str):
            raise FormatError(f"graph: {name}: {key} is a text")
        if value is not None:
            _check_value(key, value)


def _arguments(op: str) -> set[str] | None:
    """The arguments an operation takes, but for those that say where tensors live.

    None where it does not say.
    """
    function = MODULES.get(op) or FUNCTIONS.get(op)
    if function is None:
        return None  # the graph's own check names it
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a function written in C
        return None
    if any(p.kind == p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters} - {"device", "dtype"}


def _check_output(network: EmbeddingNetwork) -> None:
    """Only a network that runs, and gives what its description announces, is let in."""
    announced = network.info.embedding_size
    try:
        found = measure_embedding_size(network, network.recipe.shape)
    except WeightsError as error:
        crop = network.recipe.crop
        raise FormatError(f"the network does not run on {crop}: {error}") from error
    if found != announced:
        raise FormatError(f"embeddings of {found} dimensions where {announced} are announced")
