"""Which requests come from where they should: no page of another site may use the server.

A web page may send requests to any address that its visitor's browser reaches, this machine's own
among them. It cannot choose the ``Origin`` that the browser states; and where its name is made to
lead here (DNS rebinding), ``Host`` is still that name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from socket import gethostname
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host to bind is this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class HostRule:
    """The names that the server goes by.

    Args:
        loopback: it is bound to this machine only.
        names: further ones, such as a reverse proxy's.
    """

    loopback: bool
    names: Collection[str] = ()

    def allows(self, host: str) -> bool:
        """Whether a ``Host`` header is one of the server's own.

        Numeric addresses lead where they say. Names are only those that are known.
        """
        name = _name(host)
        if name is None:
            return False
        try:
            address = ip_address(name)
        except ValueError:
            known = {"localhost", *(other.lower() for other in self.names)}
            return name in known or (not self.loopback and name == gethostname().lower())
        return address.is_loopback or not self.loopback


def same_origin(origin: str, host: str) -> bool:
    """Whether an ``Origin`` header is the page that ``Host`` serves."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _name(host: str) -> str | None:
    """Without the port; None where it is no host."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
