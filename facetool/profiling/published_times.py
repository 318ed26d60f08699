"""Times per forward pass as the authors of the originals published them, with their hardware."""

from __future__ import annotations

from dataclasses import dataclass

_OPENFACE = "https://cmusatyalab.github.io/openface/models-and-accuracies/"
_INSIGHTFACE = "https://github.com/deepinsight/insightface (README of 2018, Deployment)"


@dataclass(frozen=True)
class PublishedTime:
    """One published time.

    Attributes:
        network: as its authors call it.
        architecture: registry name.
        milliseconds: of one image; the mean where ``std`` is given.
        hardware: it was measured on.
        source: page that states it.
        std: over the passes, milliseconds, where published.
    """

    network: str
    architecture: str
    milliseconds: float
    hardware: str
    source: str
    std: float | None = None


_OPENFACE_CPU = "8-core 3.70 GHz CPU"

_Mean = tuple[float, float]


def _openface(
    network: str, architecture: str, openblas: _Mean, netlib: _Mean, gpu: _Mean
) -> list[PublishedTime]:
    return [
        PublishedTime(network, architecture, mean, hardware, _OPENFACE, std)
        for hardware, (mean, std) in (
            (f"{_OPENFACE_CPU}, OpenBLAS", openblas),
            (f"{_OPENFACE_CPU}, netlib BLAS", netlib),
            ("Tesla K40 GPU", gpu),
        )
    ]


# OpenFace: 500 passes of util/profile-network.lua in Torch7; the page had the times with netlib's
# BLAS until March 2016, those with OpenBLAS since then.
# InsightFace: "total inference time" of a cropped face, MXNet.
PUBLISHED_TIMES = (
    *_openface("nn4.small2.v1", "nn4.small2", (58.9, 15.36), (460.89, 85.74), (13.72, 4.64)),
    *_openface("nn4.small1.v1", "nn4.small1", (69.58, 16.17), (528.33, 109.31), (15.90, 5.18)),
    *_openface("nn4.v2", "nn4", (82.74, 19.96), (687.27, 119.50), (20.82, 6.03)),
    *_openface("nn4.v1", "nn4", (75.67, 19.97), (679.75, 114.22), (21.96, 6.71)),
    PublishedTime("LResNet34E-IR", "lresnet34e-ir", 17.0, "Tesla M40 GPU", _INSIGHTFACE),
)


def published_times(architecture: str) -> list[PublishedTime]:
    """What is published of an architecture."""
    return [time for time in PUBLISHED_TIMES if time.architecture == architecture]


@dataclass(frozen=True)
class PublishedPipeline:
    """A published time from a decoded photo to the embedding of its face.

    Attributes:
        program: and its version.
        photo: one of the examples in OpenFace's repository.
        pixels: width x height (the page has them the other way about).
        milliseconds: mean of 100 trials.
        hardware: it was measured on.
        source: page that states it.
    """

    program: str
    photo: str
    pixels: str
    milliseconds: float
    hardware: str
    source: str


_OPENFACE_FAQ = "https://cmusatyalab.github.io/openface/faq/ (raw data of its plot)"

PUBLISHED_PIPELINES = tuple(
    PublishedPipeline(f"OpenFace {version}", photo, pixels, time, _OPENFACE_CPU, _OPENFACE_FAQ)
    for version, photo, pixels, time in (
        ("0.1.1", "lennon-1", "1400x1050", 2822.0),
        ("0.2.0", "lennon-1", "1400x1050", 1557.0),
        ("0.1.1", "carell", "601x891", 1446.0),
        ("0.2.0", "carell", "601x891", 884.0),
    )
)
"""Of nn4.small2 and its predecessors with dlib's detector: ``util/profile-pipeline.py``."""
