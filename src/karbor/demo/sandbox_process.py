"""A sandbox cloud as a process of its own, for as long as somebody needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from karbor.demo import waits
from karbor.model.errors import KarborError

LISTENS = "listens on"
STOPPING = 20.0
"""Seconds in which it has to end after it was asked to."""


@contextmanager
def sandbox(folder: Path, port: int = 0) -> Iterator[None]:
    """Run a sandbox over the state folder; its words go to `folder`/log/sandbox.log. Raises KarborError.

    It ends with the block and not by the Ctrl-C that its starter gets, who may still need it for ending well.
    """
    logs = folder / "log"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = logs / "sandbox.log"
    command = (sys.executable, "-P", "-m", "karbor", "sandbox", "--state", str(folder), "--port", str(port))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    finally:
        os.close(output)

    def listens() -> bool:
        if process.poll() is not None:
            raise KarborError(f"the sandbox did not start: {log.read_text().strip()}")
        return LISTENS in log.read_text()

    try:
        waits.until("the sandbox listens", listens)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
