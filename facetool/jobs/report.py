"""What happened to each input of a stage; it decides the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from facetool.jobs.progress import Progress, listener


@dataclass
class Report:
    """Counts outcomes and names failures as they come.

    Attributes:
        counts: outcome (``aligned``, ``failed`` …) to number of inputs, or of rows where an input
            has one for each face.
        remarks: what there is to say besides (``truncated`` …) to number of the same inputs.
        failures: (input, reason) of each failed input.
    """

    counts: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    _listener: Progress = field(default_factory=listener, repr=False, compare=False)

    def done(self, outcome: str, number: int = 1) -> None:
        """Count inputs that went well; of none nothing is noted."""
        if number:
            self.counts[outcome] += number

    def failed(self, name: str, reason: str, number: int = 1) -> None:
        """Count an input that failed, or several of one kind, and tell the listener at once."""
        self.counts["failed"] += number
        self.failures.append((name, reason))
        self._listener.remark(name, reason)

    def note(self, name: str, kind: str, remark: str) -> None:
        """Count a remark on an input, whose outcome counts besides, and tell the listener."""
        self.remarks[kind] += 1
        self.tell(name, remark)

    def also(self, kind: str, number: int) -> None:
        """Count a remark on several inputs, and tell nobody; of none nothing is noted."""
        if number:
            self.remarks[kind] += number

    def tell(self, name: str, remark: str) -> None:
        """Tell the listener what happened to an input, and count nothing."""
        self._listener.remark(name, remark)

    def failed_images(self) -> list[dict[str, str]]:
        """Failed inputs, where these are images, as plain JSON values."""
        return [{"image": name, "reason": why} for name, why in self.failures]

    @property
    def exit_code(self) -> int:
        """0 if everything asked was done, 1 if some inputs failed."""
        return 1 if self.failures else 0

    def __str__(self) -> str:
        counts = sorted(self.counts.items(), key=lambda one: _LAST.get(one[0], 0))
        text, remarks = _listed(counts), _listed(self.remarks.items())
        return f"{text} ({remarks})" if text and remarks else text or remarks


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(
        f"{number:,} {_ONE.get(outcome, outcome) if number == 1 else outcome}"
        for outcome, number in counts
        if number
    )


_LAST = {
    "no-face": 1,
    "steps already there": 2,
    "already there": 2,
    "kept of photos that are gone": 3,
    "removed": 3,
    "failed": 4,
}
"""Outcomes that are said after what was done, which is said as it comes."""

_ONE = {
    "distractors put out of reach": "distractor put out of reach",
    "feature files written": "feature file written",
    "identities": "identity",
    "images packed": "image packed",
    "images replaced by their person's centre": "image replaced by their person's centre",
    "images unpacked": "image unpacked",
    "pairs": "pair",
    "steps": "step",
    "steps already there": "step already there",
}
"""Outcomes that name things, as they are said of one."""
