"""The ``merge`` stage: what embed wrote becomes a represent folder."""

from __future__ import annotations

from pathlib import Path

from facetool.errors import FormatError, UsageError
from facetool.files.embeddings_writer import EmbeddingsWriter, earlier_description, number_people
from facetool.files.image_states import ImageState
from facetool.files.output_file import check_folder
from facetool.files.represent_description import RepresentDescription
from facetool.files.storage import open_storage
from facetool.files.stored_faces import StoredFaces, open_faces
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report

_ROWS = 1024
_NO_FILE = ImageState(0, 0)
"""The crops are in no files of their own."""


def merge(output: str | Path, reps: str | Path, *, overwrite: bool = False) -> Report:
    """Write the faces of all shards as :func:`facetool.represent` would.

    Args:
        output: folder or URL that embed filled.
        reps: where ``reps.npy``, ``reps.csv``, ``labels.csv`` and ``represent.json`` go.
        overwrite: write over embeddings of something else.

    Returns:
        What was merged; shards that are not there, and photos that failed, count as failed.

    Raises:
        UsageError: ``reps`` holds other embeddings, or there is nothing to be merged.
        FormatError: ``output`` holds no plan, shards of another one, or none that is whole.
        OutputError: a result cannot be written.
    """
    reps = Path(reps)
    check_folder(reps, Path(output))
    faces = open_faces(open_storage(str(output)))
    earlier = earlier_description(reps, overwrite=overwrite)
    if earlier.counts is not None and not _is_of(faces, earlier):
        raise UsageError(
            f"{reps} holds other embeddings (those of the images in {earlier.input}); choose "
            "another REPS or start over with overwrite=True",
            "overwrite=True",
        )
    if not faces.faces and faces.lack:
        raise FormatError(faces.lack)
    if not faces.faces:
        raise UsageError(f"{output} holds no faces")
    report = Report()
    labels = number_people(faces.names)
    with (
        EmbeddingsWriter(reps, faces.size, faces.description) as writer,
        progress_bar("merge", len(faces.faces), writer.rows) as bar,
    ):
        for number, (names, vectors) in enumerate(faces.batches(_ROWS)):
            if number < writer.batches:
                continue
            rows = [(labels[name], name) for name in names]
            writer.add(vectors, rows, [_NO_FILE] * len(rows), [])
            bar.update(len(rows))
        writer.finish(faces.description)
    report.done("merged", len(faces.faces))
    for name, reason in (*faces.missing, *faces.failures):
        report.failed(name, reason)
    return report


def _is_of(faces: StoredFaces, earlier: RepresentDescription) -> bool:
    """Whether embeddings that are there were merged from the same OUT, which may have moved."""
    before = earlier.input or ""
    if before == faces.description.input:
        return True
    # Of a relative path, as it was noted once, nobody knows what it is relative to.
    elsewhere = Path(before).is_absolute() and Path(before).exists()
    return not elsewhere and faces.has_grown_from(earlier)
