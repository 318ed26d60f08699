"""``represent.json``: what a represent folder says of its embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from facetool.errors import FormatError
from facetool.files.fields import checked
from facetool.files.json_file import read_json, write_json

REPRESENT_JSON = "represent.json"

_OF_FILES = ("missed_faces", "largest_of_several", "crc32")
"""The keys of what is said of single images and files."""


@dataclass(frozen=True, kw_only=True)
class RepresentDescription:
    """Where embeddings come from; None is what a folder does not say.

    OpenFace's own folders say nothing, and those of other versions may say less or more.

    Attributes:
        network: architecture.
        weights_name: name of the weights.
        weights_sha256: of the weights file.
        embedding_size: of the network, before ``flip`` appends to it.
        unit_length: whether embeddings are scaled to unit length before they are compared.
        threshold: between two embeddings of the network, plain JSON values.
        recipe: crop and input scaling, plain JSON values.
        flip: ``none``, ``sum`` or ``concat``.
        device: ``cpu``, or the name of the GPU.
        dtype: precision of the network.
        engine: what ran the network, where it was not PyTorch.
        batch_size: images per pass.
        input: the folder of crops; before 0.2.0 as it was given, perhaps relative.
        input_listing_sha256: names, sizes and times of the crops.
        versions: of facetool and of the libraries that compute.
        counts: ``images`` with an embedding and ``failed`` ones.
        missed_faces: images whose face was not found, which a stand-in crop represents.
        largest_of_several: images of photos with other faces, taken because they are larger.
        crc32: checksums of ``reps.csv``, ``labels.csv`` and ``reps.npy`` as they were written.
        more: unknown keys that another version of facetool wrote.
    """

    network: str | None = None
    weights_name: str | None = None
    weights_sha256: str | None = None
    embedding_size: int | None = None
    unit_length: bool | None = None
    threshold: Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] | None = None
    flip: str | None = None
    device: str | None = None
    dtype: str | None = None
    engine: str | None = None
    batch_size: int | None = None
    input: str | None = None
    input_listing_sha256: str | None = None
    versions: Mapping[str, Any] | None = None
    counts: Mapping[str, int] | None = None
    missed_faces: Sequence[str] | None = None
    largest_of_several: Sequence[str] | None = None
    crc32: Mapping[str, int] | None = None
    more: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RepresentDescription:
        """The inverse of :meth:`as_dict`.

        Raises:
            FormatError: a value is of another kind than it should be.
        """
        stated = checked(
            values,
            network=str,
            weights=dict,
            embedding_size=int,
            unit_length=bool,
            threshold=dict,
            recipe=dict,
            flip=str,
            device=str,
            dtype=str,
            engine=str,
            batch_size=int,
            input=str,
            input_listing_sha256=str,
            versions=dict,
            counts=dict,
            crc32=dict,
        )
        weights = checked(stated.pop("weights", {}), name=str, sha256=str)
        checked(stated.get("counts", {}), images=int, failed=int)
        _check_threshold(stated.get("threshold", {}))
        known = {*_KEYS, "weights"}
        more = {key: value for key, value in values.items() if key not in known}
        return cls(
            **stated,
            weights_name=weights.get("name"),
            weights_sha256=weights.get("sha256"),
            missed_faces=_names(values, "missed_faces"),
            largest_of_several=_names(values, "largest_of_several"),
            more=more or None,
        )

    @property
    def stored_size(self) -> int:
        """Dimensions of an embedding on disk, those that ``flip`` appends among them."""
        return (self.embedding_size or 0) * (2 if self.flip == "concat" else 1)

    def as_dict(self) -> dict[str, Any]:
        """What is stated, as plain JSON values."""
        weights = {"name": self.weights_name, "sha256": self.weights_sha256}
        stated = {key: value for key, value in weights.items() if value is not None}
        values: dict[str, Any] = {"network": self.network, "weights": stated or None}
        values |= {key: getattr(self, key) for key in _KEYS[1:]}
        values = {key: value for key, value in values.items() if value is not None}
        return {**values, **(self.more or {})}

    def provenance(self) -> dict[str, Any]:
        """What results repeat of it: all but what is said of single images and files."""
        return {key: value for key, value in self.as_dict().items() if key not in _OF_FILES}

    @property
    def name(self) -> str:
        """Of the weights, or else of the network; empty where neither is stated."""
        return self.weights_name or self.network or ""

    def difference(self, other: RepresentDescription, *more: str) -> str | None:
        """Why the embeddings of two folders cannot be compared, as far as both say; or None.

        Args:
            other: the other folder's.
            more: what else must be equal: ``unit_length`` where lengths matter.
        """
        for name in ("network", "weights", "recipe", "flip", *more):
            ours, theirs = self._stated(name, other), other._stated(name, self)
            if ours != theirs and None not in (ours, theirs):
                return f"{name} {_words(ours)} and {_words(theirs)}"
        return None

    def change(self, other: RepresentDescription) -> str | None:
        """Why a run described by ``other`` would write other embeddings; or None."""
        for name in ("network", "weights", *_COMPUTED):
            ours, theirs = self._stated(name, other), other._stated(name, self)
            if ours != theirs:
                if name == "input_listing_sha256":
                    return "other images"
                return f"{name.replace('_', ' ')} {_words(ours)} there, {_words(theirs)} now"
        return None

    def _stated(self, name: str, other: RepresentDescription) -> Any:
        """A value for messages; weights go by their checksum where both have one."""
        if name != "weights":
            return getattr(self, name)
        if not (self.weights_sha256 and other.weights_sha256):
            return self.weights_name
        if self.weights_sha256 == other.weights_sha256:
            return self.weights_sha256
        return f"{self.weights_name or 'of no name'} (sha256 {self.weights_sha256[:8]}…)"


_KEYS = tuple(
    field.name
    for field in fields(RepresentDescription)
    if field.name not in ("weights_name", "weights_sha256", "more")
)

_COMPUTED = tuple(
    key
    for key in _KEYS
    if key not in ("network", "threshold", "input", "versions", "counts", *_OF_FILES)
)
"""What other embeddings may come from, besides network and weights."""


def _names(values: Mapping[str, Any], key: str) -> Sequence[str] | None:
    names = values.get(key)
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise FormatError(f"{key} is not a list of image names")
    return names


def _check_threshold(threshold: Mapping[str, Any]) -> None:
    distance = threshold.get("squared_l2", 1)
    if isinstance(distance, bool) or not (isinstance(distance, int | float) and distance > 0):
        raise FormatError("the threshold is not one between two embeddings")


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    return "not stated" if value is None else str(value)


def read_represent_description(folder: Path) -> RepresentDescription:
    """What a represent folder says of itself; nothing where it has no ``represent.json``.

    Raises:
        FormatError: the file is damaged.
    """
    path = folder / REPRESENT_JSON
    if not path.is_file():
        return RepresentDescription()
    values = read_json(path)
    try:
        return RepresentDescription.from_dict(values)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def write_represent_description(folder: Path, description: RepresentDescription) -> None:
    """Write ``represent.json``, whole or not at all."""
    write_json(folder / REPRESENT_JSON, description.as_dict())
