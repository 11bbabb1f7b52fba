"""Programs of the service as processes, which have to start and to end well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 60.0


@contextmanager
def running(*words: str, until: str, stop: signal.Signals = signal.SIGTERM, **environment: str) -> Iterator[str]:
    """A process that has said that it is ready, which ends well when it is asked to; the line that it said."""
    command = [sys.executable, "-P", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert until in line, line + process.stderr.read()
        try:
            yield line
        finally:
            process.send_signal(stop)
            rest = process.stderr.read()
        assert (process.wait(PATIENCE), rest) == (0, "")
