"""Programs of the service as processes, which have to start and to end well."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 60.0
GRAVE = re.compile(r"^Traceback |^\S+ \S+ (ERROR|CRITICAL) ", re.MULTILINE)
"""What a process says of a fault of its own, wherever it runs. In a line of a log the level follows the time."""
BELOW_THE_KERNELS = range(20000, 32768)
"""Ports that Linux gives neither to connections nor to servers that ask for any: others cannot come first by chance."""


@contextmanager
def running(
    *words: str, until: str, stop: signal.Signals = signal.SIGTERM, may_warn: bool = False, **environment: str
) -> Iterator[str]:
    """A process that has said that it is ready, which ends well when it is asked to; the line that it said.

    It has nothing to tell besides, unless it `may_warn` of what it survives, as a service does among others.
    """
    command = [sys.executable, "-P", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert until in line, line + process.stderr.read()
        try:
            yield line
        finally:
            rest = ended(process, stop)
            print(rest, end="")  # pytest shows it where a test fails
        assert process.returncode == 0, rest
        assert not (GRAVE.search(rest) if may_warn else rest), rest


def ended(process: subprocess.Popen[str], stop: signal.Signals) -> str:
    """What a process still says when it is asked to end; it is killed where it does not."""
    process.send_signal(stop)
    try:
        return process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def unused_port() -> int:
    """A port of this machine on which a process that starts later can listen."""
    while True:
        port = random.choice(BELOW_THE_KERNELS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
