"""A server as a user starts it, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.server.client import Answer, Request, call


class Server(NamedTuple):
    process: subprocess.Popen[str]
    port: int
    said: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def call(self, request: Request) -> Answer:
        return call(self.port, request)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what else it said."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=150)
        return self.process.returncode, errors


@contextmanager
def running(*arguments: object) -> Iterator[Server]:
    """``facetool serve --port 0`` with further arguments."""
    command = [sys.executable, "-m", "facetool", "serve", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    said = ""
    try:
        for line in process.stderr:
            said += line
            if found := re.search(r" at http://\S+?:(\d+)/", line):
                yield Server(process, int(found[1]), said)
                break
        else:
            raise AssertionError(said)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
