"""From the bytes of photos to faces, embeddings, comparisons and names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.alignment.recipes import override
from facetool.classification.classifier import Classifier
from facetool.cropping.face_cropper import FaceCropper
from facetool.cropping.photos import SearchedPhoto
from facetool.cropping.remarks import PhotoRemark
from facetool.detection.options import DetectionSettings
from facetool.embedding.embedder import Embedder
from facetool.errors import ImageError
from facetool.jobs.pool import available_cores
from facetool.jobs.report import Report
from facetool.jobs.workers import Workers
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.classify_infer import NamedFace, fit_network, name_faces
from facetool.pipeline.compare import (
    ComparisonResult,
    PhotoFace,
    comparable,
    compare_faces,
    known_threshold,
)
from facetool.server.batcher import Batcher
from facetool.server.limits import Limits
from facetool.server.photo_worker import PhotoTask, PhotoWorker, create_photo_worker, work


@dataclass(frozen=True, kw_only=True)
class RecognizerSettings:
    """How photos are searched and compared.

    Attributes:
        classifier: names people; None: nobody is named.
        detector: instead of the one of the network's or the classifier's recipe.
        detection: how the detector is used; default: its default settings.
        threshold: squared L2 below which two faces are one person's, instead of the network's.
        device: where the network runs, as :func:`facetool.resolve_device` takes it; photos are
            searched on the CPU.
        jobs: worker processes; default: all available cores.
        limits: of size and time.
    """

    classifier: Classifier | None = None
    detector: str | None = None
    detection: DetectionSettings | None = None
    threshold: float | None = None
    device: str | torch.device = "auto"
    jobs: int | None = None
    limits: Limits = field(default_factory=Limits)


class EmbeddedPhoto(NamedTuple):
    """A photo, and its faces' embeddings (N, D) as the network gives them."""

    photo: SearchedPhoto
    embeddings: NDArray[np.float32]


class Recognizer:
    """Searches and embeds photos for many requests at once; photos in processes, faces in batches.

    Args:
        network: from :func:`facetool.load_network`.
        settings: classifier, detector, limits.
        observe: gets the number of faces of each pass through the network.

    Raises:
        UsageError: settings, network and classifier do not go together.
        WeightsError: the detector's weights are not on this machine.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        settings: RecognizerSettings,
        observe: Callable[[int], object] = lambda count: None,
    ) -> None:
        self.network = network
        self.settings = settings
        self.threshold = known_threshold(network, settings.threshold)
        crop = network.recipe.crop
        embedder = Embedder(network, settings.device)
        naming = embedder
        if settings.classifier is not None:
            crop, naming = fit_network(settings.classifier, network, settings.device)
        self.crop = override(crop, detector=settings.detector)
        self.jobs = settings.jobs or available_cores()
        detection = settings.detection or DetectionSettings()
        # What is wrong with the detector is said once.
        FaceCropper(self.crop, detection, device="cpu")
        self.workers: Workers[PhotoWorker, PhotoTask, SearchedPhoto] = Workers(
            work, create_photo_worker, (self.crop, detection, settings.limits.pixels), self.jobs
        )
        self._batcher = Batcher(embedder, self.jobs, observe)
        mirrors = settings.classifier is not None and settings.classifier.provenance.flip != "none"
        self._naming = Batcher(naming, self.jobs, observe) if mirrors else self._batcher

    def close(self) -> None:
        """End the processes and threads."""
        self.workers.close()
        self._batcher.close()
        if self._naming is not self._batcher:
            self._naming.close()

    async def search(self, task: PhotoTask, deadline: float) -> SearchedPhoto:
        """The faces of a photo.

        Args:
            task: the photo.
            deadline: of :func:`time.monotonic`.

        Raises:
            ImageError: it cannot be used. One without a face can: its ``reason`` says so.
            WorkerDiedError: it ended its worker.
            WorkerTimeoutError: there was no time for it.
        """
        photo = await asyncio.wrap_future(self.workers.submit(task, deadline))
        if photo.error:
            raise ImageError(photo.error)
        return photo

    async def embed(self, task: PhotoTask, deadline: float) -> EmbeddedPhoto:
        """The faces of a photo, embedded as ``represent`` does; errors as of :meth:`search`."""
        return await self._embed(self._batcher, task, deadline)

    async def _embed(self, batcher: Batcher, task: PhotoTask, deadline: float) -> EmbeddedPhoto:
        with batcher.coming():
            photo = await self.search(task, deadline)
            if not photo.crops:
                return EmbeddedPhoto(photo, np.empty((0, 0), np.float32))
            future = batcher.submit(np.stack(photo.crops))
        return EmbeddedPhoto(photo, await asyncio.wrap_future(future))

    async def compare(self, photos: dict[str, PhotoTask], deadline: float) -> ComparisonResult:
        """Compare the faces of two photos as ``compare`` does.

        Args:
            photos: by name.
            deadline: of :func:`time.monotonic`.

        Raises:
            ImageError: one of them cannot be used or shows no face; the message says which.
            WorkerDiedError: one of them ended its worker.
            WorkerTimeoutError: there was no time for them.
        """
        embedded = await asyncio.gather(
            *(self._faces(name, task, deadline) for name, task in photos.items())
        )
        ((first, _), (second, _)) = embedded
        comparisons = [compare_faces(a, b, self.threshold) for a in first for b in second]
        remarks = [remark for _, of_photo in embedded for remark in of_photo]
        return ComparisonResult(comparisons, self.threshold, Report(), remarks)

    async def _faces(
        self, name: str, task: PhotoTask, deadline: float
    ) -> tuple[list[PhotoFace], list[PhotoRemark]]:
        try:
            photo, embeddings = await self.embed(task, deadline)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        if not photo.faces:
            raise ImageError(f"{name}: {photo.reason}")
        vectors = comparable(embeddings, self.network)
        rows = enumerate(zip(photo.faces, vectors, strict=True), start=1)
        faces = [PhotoFace(name, number, face.box, row) for number, ((face, _), row) in rows]
        return faces, [PhotoRemark(name, remark) for remark in photo.remarks]

    async def identify(
        self, classifier: Classifier, task: PhotoTask, deadline: float
    ) -> tuple[SearchedPhoto, list[NamedFace]]:
        """Name the faces of a photo as ``classify infer`` does, from left to right.

        Errors as of :meth:`search`.
        """
        photo, embeddings = await self._embed(self._naming, task, deadline)
        named = _name(classifier, photo, embeddings)
        return photo, sorted(named, key=lambda face: face.box.center)

    async def name(self, classifier: Classifier, embedded: EmbeddedPhoto) -> list[NamedFace]:
        """The names of a photo's faces, in the order of the faces."""
        photo, embeddings = embedded
        if photo.crops and self._naming is not self._batcher:
            future = self._naming.submit(np.stack(photo.crops))
            embeddings = await asyncio.wrap_future(future)
        return _name(classifier, photo, embeddings)

    def describe(self) -> dict[str, Any]:
        """What a client should know, as JSON values."""
        info, limits = self.network.info, self.settings.limits
        classifier = self.settings.classifier
        return {
            "network": info.architecture,
            "weights": info.weights_name,
            "weights_sha256": info.weights_sha256,
            "embedding_size": info.embedding_size,
            "unit_length": info.unit_length,
            "crop": [self.crop.width, self.crop.height],
            "detector": self.crop.detector,
            "threshold": self.threshold.as_dict() if self.threshold else None,
            "people": None if classifier is None else list(classifier.people),
            "limits": {
                "upload_bytes": limits.upload,
                "pixels": limits.pixels,
                "seconds": limits.seconds,
                "requests": limits.requests,
                "map_rows": limits.map_rows,
            },
        }


def _name(
    classifier: Classifier, photo: SearchedPhoto, embeddings: NDArray[np.float32]
) -> list[NamedFace]:
    if not photo.faces:
        return []
    return name_faces(classifier, embeddings, [face.box for face, _ in photo.faces])
