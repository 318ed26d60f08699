"""``align.json``: what an aligned folder says of its crops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from facetool.errors import FormatError
from facetool.files.fields import checked
from facetool.files.json_file import read_json, write_json

ALIGN_JSON = "align.json"

ON_NO_FACE = ("skip", "center", "fail")
"""What becomes of a photo without a face: no crop, the centre, or no crop and a failure."""


@dataclass(frozen=True, kw_only=True)
class AlignDescription:
    """How crops were made. Folders hold crops of one kind only.

    Attributes:
        crop: the recipe, plain JSON values.
        detector: which one found the faces, its options and the checksums of its weights; 0.1 did
            not write these down, as there were no others than the published.
        select: which faces of a photo were taken.
        on_no_face: what became of photos without a face.
        fallback: folder whose images stand in for such photos.
        points: whose landmarks drove the crops, such as ``dlib 5``.
        strict: whether truncated photos were refused.
        min_face: shorter edge in pixels that the box of a face had to have.
        min_sharpness: sharpness that its crop had to have.
        inputs: folders of the photos, by the name that their crops are kept under; "" for those
            that are kept under none.
        frames: which ones of their videos were searched, by the same names; without those that
            have no videos.
        counts: rows of each status; None while a run goes on.
        facetool: version that wrote them; None while a run goes on.
    """

    crop: Mapping[str, Any] | None = None
    detector: Mapping[str, Any] | None = None
    select: str | None = None
    on_no_face: str | None = None
    fallback: str | None = None
    points: str | None = None
    strict: bool = False
    min_face: float | None = None
    min_sharpness: float | None = None
    inputs: Mapping[str, str] | None = None
    frames: Mapping[str, str] | None = None
    counts: Mapping[str, int] | None = None
    facetool: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AlignDescription:
        """The inverse of :meth:`as_dict`; keys of 0.1 are translated, other unknown ones ignored.

        Raises:
            FormatError: a value is of another kind than it should be.
        """
        return cls(
            **checked(
                {"detector": _detector_of_0_1(values), **values},
                crop=dict,
                detector=dict,
                select=str,
                on_no_face=str,
                fallback=str,
                points=str,
                strict=bool,
                min_face=float,
                min_sharpness=float,
                inputs=dict,
                frames=dict,
                counts=dict,
                facetool=str,
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; limits, what was read and outcome are left out where there is none."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        later = ("min_face", "min_sharpness", *_INPUTS, *_OUTCOME)
        return {
            key: value for key, value in values.items() if key not in later or value is not None
        }

    def difference(self, other: AlignDescription) -> str | None:
        """Why crops do not go together in one folder, in words; None where they do."""
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name == "detector" and ours and theirs and "weights" not in ours:
                theirs = {key: value for key, value in theirs.items() if key != "weights"}
            if field.name not in (*_OUTCOME, *_POLICIES, *_INPUTS) and ours != theirs:
                name = field.name.replace("_", " ")
                return f"{name} {_words(ours, theirs)} there, {_words(theirs, ours)} now"
        return None

    def same_policies(self, other: AlignDescription) -> bool:
        """Whether photos that lack something, a face or their end, are treated alike."""
        return all(getattr(self, name) == getattr(other, name) for name in _POLICIES)


_POLICIES = ("on_no_face", "fallback", "strict")
"""What becomes of photos that lack something; crops of faces that were found do not change."""

_INPUTS = ("inputs", "frames")
"""What was read; a later run may read something else."""

_OUTCOME = ("counts", "facetool")
"""What a run adds when it is done."""


def _detector_of_0_1(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The detector in the words of today; None where 0.1 did not write the values.

    Raises:
        FormatError: a value is of another kind than it should be.
    """
    old = checked(values, crop=dict, upsample=int, mtcnn=dict)
    name = old.get("crop", {}).get("detector")
    options = old.get("mtcnn") if name == "mtcnn" else {"upsample": old.get("upsample")}
    if "upsample" not in old or not options:
        return None
    return {"name": name, "options": options, "detect_at": None, "rotate": "never"}


def _words(value: Any, other: Any) -> str:
    """A value for a message; of an object only what the other has otherwise."""
    if not isinstance(value, Mapping):
        return "none" if value is None else str(value)
    known = other if isinstance(other, Mapping) else {}
    own = [
        f"{key} {_words(inner, known.get(key))}"
        for key, inner in value.items()
        if key not in known or known[key] != inner
    ]
    return ", ".join([*own, *(f"no {key}" for key in known if key not in value)])


def read_align_description(folder: Path) -> AlignDescription | None:
    """What an aligned folder says of itself; None where it has no ``align.json``.

    Raises:
        FormatError: the file is damaged.
    """
    path = folder / ALIGN_JSON
    if not path.is_file():
        return None
    values = read_json(path)
    try:
        return AlignDescription.from_dict(values)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def write_align_description(folder: Path, description: AlignDescription) -> None:
    """Write ``align.json``, whole or not at all."""
    write_json(folder / ALIGN_JSON, description.as_dict())
