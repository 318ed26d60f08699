"""The ``represent`` stage: a folder of aligned crops becomes embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from facetool._version import __version__
from facetool.embedding.crop_loader import load_crops
from facetool.embedding.embedder import Embedder
from facetool.embedding.recipe_check import check_recipe
from facetool.errors import UsageError
from facetool.files.align_manifest import largest_of_several, missed_faces
from facetool.files.embeddings_writer import EmbeddingsWriter
from facetool.files.represent_description import RepresentDescription, read_description
from facetool.files.text import same_spelling
from facetool.images.inputs import Images, open_images, unsupported_files
from facetool.jobs.ordered_map import batches_of
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork


@dataclass(frozen=True)
class RepresentSettings:
    """How embeddings are computed.

    Attributes:
        device: where the network runs.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        flip: ``none``, ``sum`` or ``concat``.
        batch_size: images per pass.
        any_crop: take crops that were made by another recipe.
        engine: ``torch`` or ``openvino``.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: str = "float32"
    flip: str = "none"
    batch_size: int = 64
    any_crop: bool = False
    engine: str = "torch"


def represent(
    input: Path,
    output: Path,
    network: EmbeddingNetwork,
    settings: RepresentSettings,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
) -> Report:
    """Embed all crops under ``input``.

    Writes ``reps.csv``, ``labels.csv``, ``reps.npy`` and ``represent.json``. A run that was
    stopped is continued by the next one; a finished one is left as it is.

    Args:
        input: folder or ``.rec`` file of aligned crops.
        output: where the files go.
        network: from :func:`facetool.load_network`.
        settings: device, arithmetic, flip, batch.
        jobs: threads that decode images; default: all available cores.
        overwrite: start anew where ``output`` holds embeddings of something else.

    Raises:
        UsageError: the folders cannot be used as asked, or the crops are of another recipe.
        OutputError: a result cannot be written.
    """
    folder = open_images(input, exclude=None if _same(input, output) else output)
    if not folder.names:
        raise UsageError(f"there are no images in {input}")
    crop = network.recipe.crop
    if not settings.any_crop:
        check_recipe(input, network)
    description = _describe(input, folder, network, settings)
    report = Report()
    for name, reason in folder.unreadable:
        report.failed(name, reason)
    for skipped in unsupported_files(folder):
        report.failed(*skipped)
    if not overwrite and _finished(output, description, report):
        return report
    embedder = Embedder(network, settings.device, settings.dtype, settings.flip, settings.engine)
    labels = _number_people(folder.names)
    with EmbeddingsWriter(output, embedder.size, description) as writer:
        batches = batches_of(folder.names, settings.batch_size)
        done = sum(len(batch) for batch in batches[: writer.batches])
        for name, reason in writer.failures:
            report.failed(name, reason)
        report.done("already there", writer.rows)
        with progress_bar("represent", len(folder.names), done) as bar:
            threads = jobs or available_cores()
            loader = load_crops(folder.read, batches[writer.batches :], crop, threads)
            for batch, vectors in embedder.embed_batches(loader, lambda batch: batch.crops):
                writer.add(vectors, [(labels[n], n) for n in batch.names], batch.failures)
                for name, reason in batch.failures:
                    report.failed(name, reason)
                report.done("represented", len(batch.names))
                report.done("scaled to the network's size", batch.resized)
                bar.update(len(batch.names) + len(batch.failures))
        if not writer.rows:
            raise UsageError(f"none of the {len(folder.names)} images in {input} can be read")
        counts = {"images": writer.rows, "failed": len(writer.failures)}
        writer.finish(
            replace(
                description,
                counts=counts,
                missed_faces=missed_faces(input),
                largest_of_several=largest_of_several(input),
            )
        )
    return report


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _describe(
    input: Path, folder: Images, network: EmbeddingNetwork, settings: RepresentSettings
) -> RepresentDescription:
    """Everything the embeddings depend on, as it stands in ``represent.json``."""
    device = settings.device
    return RepresentDescription(
        network=network.info.architecture,
        weights_name=network.info.weights_name,
        weights_sha256=network.info.weights_sha256,
        embedding_size=network.info.embedding_size,
        unit_length=network.info.unit_length,
        recipe=network.recipe.as_dict(),
        flip=settings.flip,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        dtype=settings.dtype,
        engine=None if settings.engine == "torch" else settings.engine,
        batch_size=settings.batch_size,
        input=str(input),
        input_listing_sha256=folder.fingerprint(),
        versions={
            "facetool": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    )


def _finished(output: Path, description: RepresentDescription, report: Report) -> bool:
    """Whether these very embeddings are there already.

    Raises:
        UsageError: other embeddings are there.
    """
    earlier = read_description(output)
    if earlier.counts is None:
        return False
    if reason := earlier.change(description):
        raise UsageError(
            f"{output} holds other embeddings ({reason}); "
            "choose another OUTPUT or start over with overwrite=True",
            "overwrite=True",
        )
    report.done("already there", earlier.counts.get("images", 0))
    for _ in range(earlier.counts.get("failed", 0)):
        report.failures.append(("", "failed in an earlier run"))
    return True


def _number_people(names: Sequence[str]) -> dict[str, int]:
    """Label numbers by folder, from 1 in sorted order, as OpenFace's ``batch-represent``."""
    people = {name: same_spelling(name.rpartition("/")[0]) for name in names}
    numbers = {person: number for number, person in enumerate(sorted(set(people.values())), 1)}
    return {name: numbers[person] for name, person in people.items()}
