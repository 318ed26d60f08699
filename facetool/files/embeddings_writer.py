"""Writing embeddings as they come, so that a stopped run loses at most one batch."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facetool.files.atomic import output_errors, part_path
from facetool.files.lock import sole_writer
from facetool.files.represent_description import RepresentDescription, write_description

REPS_CSV = "reps.csv"
LABELS_CSV = "labels.csv"
REPS_NPY = "reps.npy"


class EmbeddingsWriter:
    """Grows ``reps.csv``, ``labels.csv`` and ``reps.npy`` batch by batch.

    The files grow under part names and take their own in :meth:`finish`. After each batch a
    journal notes their lengths; a later writer with the same settings cuts them back to the
    last complete batch and goes on from there.

    Args:
        folder: where the files go.
        size: numbers in an embedding.
        settings: what must be the same for a stopped run to be continued; counts are not there
            yet.

    Attributes:
        batches: complete batches already on disk.
        failures: (name, reason) of the images that failed in those batches.
    """

    def __init__(self, folder: Path, size: int, settings: RepresentDescription) -> None:
        self.folder = folder
        self.size = size
        self.batches = 0
        self.rows = 0
        self.failures: list[tuple[str, str]] = []
        self._settings = json.loads(json.dumps(settings.as_dict()))
        self._files: dict[str, IO[bytes]] = {}

    def __enter__(self) -> EmbeddingsWriter:
        with ExitStack() as opened:  # an error gives the folder free again
            opened.enter_context(sole_writer(self.folder))
            with output_errors(self.folder):
                self._open(opened)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        with output_errors(self.folder):  # closing writes what is left
            self._opened.close()

    def _open(self, opened: ExitStack) -> None:
        """Open the files, cut back to the last complete batch; ``opened`` will close them."""
        journal = self._part("journal")
        lengths = self._read_journal(journal)
        mode = "r+b" if self.batches else "wb"
        for name in (REPS_CSV, LABELS_CSV, REPS_NPY):
            file = opened.enter_context(self._part(name).open(mode))
            self._files[name] = file
            file.truncate(lengths.get(name, 0))
            file.seek(0, io.SEEK_END)
        self._journal = opened.enter_context(journal.open("ab" if self.batches else "wb"))
        if not self.batches:
            self._files[REPS_NPY].write(_npy_header(0, self.size))
            self._note(self._settings)

    def add(
        self,
        vectors: NDArray[np.float32],
        labels: Sequence[tuple[int, str]],
        failures: Sequence[tuple[str, str]],
    ) -> None:
        """Append a batch.

        Args:
            vectors: (N, size).
            labels: N pairs of label number and image path.
            failures: images of the batch that have no row, with the reason.

        Raises:
            OutputError: the disk is full or the like.
        """
        with output_errors(self.folder / REPS_CSV):
            layout = ",".join(["%.9g"] * self.size) + "\n"  # nine digits bring a float32 back
            text = "".join(layout % tuple(row) for row in vectors.tolist())
            self._files[REPS_CSV].write(text.encode("ascii"))
            lines = "".join(f"{number},{_csv_text(path)}\n" for number, path in labels)
            self._files[LABELS_CSV].write(lines.encode("utf-8", "surrogateescape"))
            self._files[REPS_NPY].write(np.ascontiguousarray(vectors, "<f4").tobytes())
            self.rows += len(vectors)
            self.batches += 1
            for file in self._files.values():
                file.flush()
            lengths = {name: file.tell() for name, file in self._files.items()}
            self._note({"rows": self.rows, "lengths": lengths, "failures": list(failures)})
        self.failures.extend(failures)

    def finish(self, description: RepresentDescription) -> None:
        """Give all files their names; ``represent.json`` with ``description`` comes last."""
        with output_errors(self.folder / REPS_NPY):
            npy = self._files[REPS_NPY]
            npy.seek(0)
            npy.write(_npy_header(self.rows, self.size))
            for name, file in self._files.items():
                file.close()
                self._part(name).replace(self.folder / name)
            write_description(self.folder, description)
            self._journal.close()
            self._part("journal").unlink()

    def _part(self, name: str) -> Path:
        return part_path(self.folder / (name if name != "journal" else "represent.journal"))

    def _note(self, entry: Mapping[str, Any]) -> None:
        self._journal.write(json.dumps(entry).encode("ascii") + b"\n")
        self._journal.flush()

    def _read_journal(self, path: Path) -> dict[str, int]:
        """Lengths of the files after the last complete batch of a stopped run like this one."""
        if not path.is_file():
            return {}
        lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is half a line
        try:
            entries = [json.loads(line) for line in lines]
        except ValueError:
            return {}
        if len(entries) < 2 or entries[0] != self._settings:
            return {}
        lengths: dict[str, int] = entries[-1]["lengths"]
        if any(self._part(name).stat().st_size < length for name, length in lengths.items()):
            return {}
        self.batches = len(entries) - 1
        self.rows = entries[-1]["rows"]
        self.failures = [(name, why) for entry in entries[1:] for name, why in entry["failures"]]
        return lengths


def _npy_header(rows: int, size: int) -> bytes:
    """A .npy header; NumPy pads it, so its length does not depend on the number of rows."""
    header = io.BytesIO()
    layout = {"descr": "<f4", "fortran_order": False, "shape": (rows, size)}
    np.lib.format.write_array_header_1_0(header, layout)
    return header.getvalue()


def _csv_text(path: str) -> str:
    """A path as the last column of a CSV line; quoted only where it must be."""
    if any(character in path for character in ',"\n\r'):
        return '"' + path.replace('"', '""') + '"'
    return path
