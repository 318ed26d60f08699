"""The ``represent`` stage: a folder of aligned crops becomes embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facetool.embedding.crop_check import check_crops, or_any_crop
from facetool.embedding.crop_loader import load_crops
from facetool.embedding.embedder import NOT_FINITE, Embedder, finite_rows
from facetool.embedding.settings import RepresentSettings
from facetool.errors import FormatError, ImageError, UsageError
from facetool.files.align_journal import JOURNAL
from facetool.files.align_manifest import largest_of_several, missed_faces
from facetool.files.embeddings import map_whole
from facetool.files.embeddings_writer import (
    LABELS_CSV,
    EmbeddingsWriter,
    earlier_description,
    number_people,
)
from facetool.files.image_states import INPUTS_CSV, ImageState, read_states
from facetool.files.lock import sole_writer
from facetool.files.output_file import check_folder
from facetool.files.represent_description import (
    RepresentDescription,
    write_represent_description,
)
from facetool.images.changes import read_with_state, unchanged
from facetool.images.inputs import Images, open_images, report_unread
from facetool.images.read import RGBImage, decode_image
from facetool.jobs.ordered_map import batches_of
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import listener, progress_bar
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import device_name, resolve_device

__all__ = ["RepresentSettings", "represent"]


def represent(
    input: str | Path,
    output: str | Path,
    network: EmbeddingNetwork,
    settings: RepresentSettings,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
) -> Report:
    """Embed all crops under ``input``, or bring ``output`` up to date with them.

    Writes ``reps.csv``, ``labels.csv``, ``reps.npy``, ``represent.json`` and ``inputs.csv`` (what
    each crop was). A run that was stopped is continued by the next one. A later run embeds what
    is new or has changed and drops what is gone: its files are those of a fresh run. Where files
    are damaged or do not agree it says so and makes all of them again.

    Args:
        input: folder or ``.rec`` file of aligned crops.
        output: where the files go.
        network: from :func:`facetool.load_network`.
        settings: device, precision, flip, batch.
        jobs: threads that decode images; default: all available cores.
        overwrite: start over where ``output`` holds embeddings of something else.

    Raises:
        UsageError: input and output do not go together, nothing shows the images to be the
            network's crops, or there is no such device or dtype.
        FormatError: what ``output`` says of its embeddings is damaged.
        OutputError: a result cannot be written.
    """
    input, output = Path(input), Path(output)
    check_folder(output, input)
    settings = settings.resolve(network)
    folder = open_images(input, exclude=output)
    if not folder.names:
        raise UsageError(f"there are no images in {input}")
    if not settings.any_crop:
        with or_any_crop():
            check_crops(folder, network)
    description = _describe(input, folder, network, settings)
    report = Report()
    report_unread(folder, report)
    missed = missed_faces(input)
    earlier = earlier_description(output, overwrite=overwrite)
    finished = earlier.missed_faces == missed and _is_finished(earlier, description)
    kept = _KeptRows()
    if earlier.counts is not None:
        if not finished:
            _check_same(output, folder, earlier, description)
        try:
            there = map_whole(output, description.stored_size, earlier.crc32 or {})
            if finished:
                _check_names(output, there[0], folder)
                if earlier.input != description.input:  # both were moved or copied
                    with sole_writer(output):
                        moved = replace(earlier, input=description.input)
                        write_represent_description(output, moved)
                report.done("already there", len(folder.names))
                return report
            kept = _find_kept(output, there, folder, earlier, description)
        except FormatError as error:
            listener().remark(str(output), f"damaged, so all of it is made again: {error}")
        report.done("removed", kept.gone)
    embedder = Embedder(network, settings.device, settings.dtype, settings.flip, settings.engine)
    with EmbeddingsWriter(output, embedder.size, description) as writer:
        _write_rows(writer, folder, kept, embedder, settings, jobs, report)
        if not writer.rows:
            raise UsageError(f"none of the images in {input} can be represented")
        _check_untouched(input, folder, missed)
        counts = {"images": writer.rows, "failed": len(writer.failures)}
        writer.finish(
            replace(
                description,
                counts=counts,
                missed_faces=missed,
                largest_of_several=largest_of_several(input),
            )
        )
    return report


class _Row(NamedTuple):
    vector: NDArray[np.float32]
    state: ImageState


@dataclass
class _KeptRows:
    """What an earlier run embedded and still holds.

    Attributes:
        rows: image to its row of ``vectors``.
        states: image to its present state.
        vectors: all that the earlier run embedded, (N, D).
        gone: how many of them are of images that are gone.
    """

    rows: dict[str, int] = field(default_factory=dict)
    states: dict[str, ImageState] = field(default_factory=dict)
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    gone: int = 0

    def __contains__(self, name: str) -> bool:
        return name in self.rows

    def row(self, name: str) -> _Row:
        return _Row(self.vectors[self.rows[name]], self.states[name])


def _write_rows(
    writer: EmbeddingsWriter,
    folder: Images,
    kept: _KeptRows,
    embedder: Embedder,
    settings: RepresentSettings,
    jobs: int | None,
    report: Report,
) -> None:
    """Write all rows in the order of the names, those that are kept among the others."""
    labels = number_people(folder.names)
    for name, reason in writer.failures:
        report.failed(name, reason)
    report.done("already there", writer.rows)
    batches = batches_of(folder.names, settings.batch_size)
    left = batches[writer.batches :]
    new = [name for batch in left for name in batch if name not in kept]
    passes = batches_of(new, settings.batch_size)
    rows = min(settings.batch_size, len(folder.names))
    embedded = _embed(folder, passes, rows, embedder, jobs or available_cores(), report)
    done = len(folder.names) - sum(map(len, left))
    with progress_bar("represent", len(folder.names), done) as bar:
        for batch in left:
            found = [(name, kept.row(name) if name in kept else next(embedded)) for name in batch]
            good = [(name, row) for name, row in found if isinstance(row, _Row)]
            failures = [(name, row) for name, row in found if isinstance(row, str)]
            writer.add(
                np.array([row.vector for _, row in good]).reshape(-1, embedder.size),
                [(labels[name], name) for name, _ in good],
                [row.state for _, row in good],
                failures,
            )
            for name, reason in failures:
                report.failed(name, reason)
            before = sum(name in kept for name, _ in good)
            report.done("already there", before)
            report.done("represented", len(good) - before)
            bar.update(len(batch))


def _embed(
    folder: Images,
    passes: Sequence[Sequence[str]],
    rows: int,
    embedder: Embedder,
    threads: int,
    report: Report,
) -> Iterator[_Row | str]:
    """The rows of images in order, or why there is none."""
    states: dict[str, ImageState] = {}

    def read(name: str) -> RGBImage:
        if "\n" in name or "\r" in name:  # labels.csv is read line by line
            raise ImageError("its name holds an end of line; rename it")
        data, states[name] = read_with_state(folder, name)
        return decode_image(data)

    loader = load_crops(read, passes, embedder.recipe.crop, threads)
    embedded = embedder.embed_batches(loader, lambda batch: batch.crops, rows)
    for names, (batch, vectors) in zip(passes, embedded, strict=True):
        report.also("scaled to the network's size", batch.resized)
        of_batch: dict[str, _Row | str] = dict(batch.failures)
        for name, vector, finite in zip(batch.names, vectors, finite_rows(vectors), strict=True):
            of_batch[name] = _Row(vector, states[name]) if finite else NOT_FINITE
        for name in names:
            yield of_batch[name]
            states.pop(name, None)


def _is_finished(earlier: RepresentDescription, description: RepresentDescription) -> bool:
    """Whether the embeddings that are there are those of the very same images."""
    failed = (earlier.counts or {}).get("failed")
    return not failed and earlier.change(description) is None


def _check_names(output: Path, names: Sequence[str], folder: Images) -> None:
    """Refuse labels that do not name the images, although these are the same as before."""
    if names != list(folder.names):
        raise FormatError(f"{output / LABELS_CSV} does not name the images in {folder.place}")


def _check_same(
    output: Path, folder: Images, earlier: RepresentDescription, now: RepresentDescription
) -> None:
    """Refuse embeddings of another kind, or of another folder.

    Raises:
        UsageError: such are there.
    """
    same_images = replace(now, input_listing_sha256=earlier.input_listing_sha256)
    reason = earlier.change(same_images)
    if reason is None and earlier.input and _is_elsewhere(Path(earlier.input), folder.place):
        reason = f"those of the images in {earlier.input}"
    if reason is not None:
        raise _other_embeddings(output, reason)


def _other_embeddings(output: Path, reason: str) -> UsageError:
    return UsageError(
        f"{output} holds other embeddings ({reason}); "
        "choose another OUTPUT or start over with overwrite=True",
        "overwrite=True",
    )


def _find_kept(
    output: Path,
    there: tuple[list[str], NDArray[np.float32]],
    folder: Images,
    earlier: RepresentDescription,
    now: RepresentDescription,
) -> _KeptRows:
    """The rows of ``output`` that a fresh run would write again.

    Raises:
        UsageError: other embeddings are there.
        FormatError: what says of which images they are is damaged.
    """
    names, vectors = there
    kept = _KeptRows(vectors=vectors, gone=len(set(names).difference(folder.names)))
    states = read_states(output)
    if states and list(states) != names:
        raise FormatError(f"{output}: {LABELS_CSV} and {INPUTS_CSV} are not of the same run")
    for row, name in enumerate(names):
        state = name in states and unchanged(folder, name, states[name], by_content=False)
        if state:
            kept.rows[name], kept.states[name] = row, state
    if names and states and not kept.rows:
        raise _other_embeddings(output, "those of other images")
    counts = earlier.counts or {}
    before = counts.get("images", 0) + counts.get("failed", 0)
    size = now.batch_size or 1
    if min(before, size) != min(len(folder.names), size):
        return _KeptRows(gone=kept.gone)  # a pass of another size gives other last bits
    return kept


def _is_elsewhere(before: Path, now: Path) -> bool:
    """Whether the images were in another place, which still exists."""
    return before.exists() and before.resolve() != now.resolve()


def _check_untouched(input: Path, folder: Images, missed: Sequence[str]) -> None:
    """Refuse to finish where ``align`` has changed the crops meanwhile."""
    if (input / JOURNAL).exists() or missed_faces(input) != missed:
        raise UsageError(
            f"align has changed {folder.place} meanwhile; give the same command again once it has "
            "finished"
        )


def _describe(
    input: Path, folder: Images, network: EmbeddingNetwork, settings: RepresentSettings
) -> RepresentDescription:
    """Everything the embeddings depend on, as it stands in ``represent.json``."""
    return replace(
        settings.description(network),
        device=device_name(resolve_device(settings.device)),
        input=str(input.resolve()),  # commands that show crops may be given elsewhere
        input_listing_sha256=folder.fingerprint(),
    )
