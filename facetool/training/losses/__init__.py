"""The losses by name. Data only: torch is imported when a loss is made."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from facetool.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

SamplerKind = Literal["plain", "identity"]
"""``plain``: shuffled images; ``identity``: several images of each of some people."""


@dataclass(frozen=True)
class LossEntry:
    """A loss that can be made by name.

    Attributes:
        name: as users write it, lower case.
        factory: class in ``facetool.training.losses``, as ``module:class``.
        sampler_kind: how the batches it needs are put together.
        summary: one line for the help.
        paper: where it was described.
        former_name: what facetool 0.1 called it, which is still accepted.
    """

    name: str
    factory: str
    sampler_kind: SamplerKind
    summary: str
    paper: str
    former_name: str = ""


_ALL = [
    LossEntry(
        "softmax",
        "softmax:Softmax",
        "plain",
        "cross-entropy over a fully connected layer",
        "Taigman et al. 2014, DeepFace",
    ),
    LossEntry(
        "sphereface",
        "margin:SphereFace",
        "plain",
        "multiplicative angular margin, cos(m·θ)",
        "Liu et al. 2017, arXiv:1704.08063",
    ),
    LossEntry(
        "cosface",
        "margin:CosFace",
        "plain",
        "additive cosine margin, cos θ - m",
        "Wang et al. 2018, arXiv:1801.09414",
        former_name="cosineface",
    ),
    LossEntry(
        "arcface",
        "margin:ArcFace",
        "plain",
        "additive angular margin, cos(θ + m)",
        "Deng et al. 2019, arXiv:1801.07698",
    ),
    LossEntry(
        "combined",
        "margin:CombinedMargin",
        "plain",
        "the three margins together, cos(m1·θ + m2) - m3",
        "Deng et al. 2019, arXiv:1801.07698",
    ),
    LossEntry(
        "triplet",
        "triplet:TripletLoss",
        "identity",
        "squared Euclidean distances of triplets on the unit sphere",
        "Schroff et al. 2015, arXiv:1503.03832; Amos et al. 2016, OpenFace",
    ),
    LossEntry(
        "angular-triplet",
        "triplet:AngularTripletLoss",
        "identity",
        "angles of triplets on the unit sphere",
        "Deng et al. 2019, arXiv:1801.07698",
    ),
]

LOSSES: dict[str, LossEntry] = {entry.name: entry for entry in _ALL}

FORMER_NAMES = {entry.former_name: entry.name for entry in _ALL if entry.former_name}
"""Names of facetool 0.1 to those of today."""


def find_loss(name: str) -> LossEntry:
    """Look up a loss by its name or former name, ignoring case.

    Raises:
        UsageError: there is no such loss.
    """
    wanted = name.lower()
    try:
        return LOSSES[FORMER_NAMES.get(wanted, wanted)]
    except KeyError:
        raise UsageError(f"there is no loss {name!r}; known are {', '.join(LOSSES)}") from None


def create_loss(name: str, embedding_size: int, classes: int, **options: Any) -> nn.Module:
    """Make a loss: ``loss(embeddings, labels) -> LossResult``.

    A classification loss owns its class weights and is called with embeddings (N, D), of any
    length, and labels int64 (N,) in 0…classes - 1. A triplet loss has no parameters and wants
    batches in which people have several images each.

    Args:
        name: as :func:`find_loss` takes it.
        embedding_size: D.
        classes: identities of the training set.
        options: of the class, e.g. ``margin=0.35``, ``scale=64``, ``fraction=0.1``, ``seed=1``.

    Raises:
        UsageError: there is no such loss, or it has no such option.
    """
    entry = find_loss(name)
    module, attribute = entry.factory.split(":")
    kind: type[nn.Module] = getattr(import_module(f"{__name__}.{module}"), attribute)
    known = [
        option
        for option in inspect.signature(kind).parameters
        if option not in ("embedding_size", "classes")
    ]
    for option in options:
        if option not in known:
            raise UsageError(f"{entry.name} has no option {option!r}; it has {', '.join(known)}")
    if entry.sampler_kind == "plain":
        options = {"embedding_size": embedding_size, "classes": classes, **options}
    return kind(**options)
