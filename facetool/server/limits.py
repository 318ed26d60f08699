"""What one client may ask for, and all of them together."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from facetool.errors import UsageError

MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of the server's work; what is beyond them is refused with a reason.

    Attributes:
        upload: bytes of a request.
        pixels: of a photo.
        seconds: from a request's first byte to its answer.
        requests: in progress at a time, those waiting for their turn among them.
        map_rows: embeddings on a map.

    Raises:
        UsageError: a bound is not above zero.
    """

    upload: int = 20 * MEGABYTE
    pixels: int = 50_000_000
    seconds: float = 30.0
    requests: int = 64
    map_rows: int = 500

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise UsageError(f"{name}: give more than 0", name)
