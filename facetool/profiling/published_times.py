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


def _openface(
    network: str, architecture: str, cpu: tuple[float, float], gpu: tuple[float, float]
) -> list[PublishedTime]:
    return [
        PublishedTime(network, architecture, mean, hardware, _OPENFACE, std)
        for hardware, (mean, std) in (("8-core 3.70 GHz CPU", cpu), ("Tesla K40 GPU", gpu))
    ]


# OpenFace: 500 passes of util/profile-network.lua, Torch7 with OpenBLAS.
# InsightFace: "total inference time" of a cropped face, MXNet.
PUBLISHED_TIMES = (
    *_openface("nn4.small2.v1", "nn4.small2", (58.9, 15.36), (13.72, 4.64)),
    *_openface("nn4.small1.v1", "nn4.small1", (69.58, 16.17), (15.90, 5.18)),
    *_openface("nn4.v2", "nn4", (82.74, 19.96), (20.82, 6.03)),
    *_openface("nn4.v1", "nn4", (75.67, 19.97), (21.96, 6.71)),
    PublishedTime("LResNet34E-IR", "lresnet34e-ir", 17.0, "Tesla M40 GPU", _INSIGHTFACE),
)


def published_times(architecture: str) -> list[PublishedTime]:
    """What is published of an architecture."""
    return [time for time in PUBLISHED_TIMES if time.architecture == architecture]
