"""The engine's signs of life: what `os-services` shows of the processes that do the work."""

from __future__ import annotations

import logging
import socket
import threading

import sqlalchemy as sa

from karbor.store import services

LOG = logging.getLogger(__name__)

BINARIES = (services.PROTECTION, services.OPERATION_ENGINE)
"""An engine does the work of both processes that clients know: it runs operations, and it fires schedules."""


class Heartbeat:
    """Gives a sign for this host now and then, in a thread of its own."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database
        self._host = socket.gethostname()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, with a first sign before it returns. Raises sqlalchemy's errors."""
        self._sign()
        self._thread.start()

    def stop(self) -> None:
        """Give no more signs."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def may_begin(self) -> bool:
        """Whether an administrator lets the engine of this host begin new work."""
        return services.is_enabled(self._database, self._host, services.OPERATION_ENGINE)

    def _beat(self) -> None:
        while not self._stopping.wait(services.REPORT_SECONDS):
            try:
                self._sign()
            except sa.exc.SQLAlchemyError as error:  # the database may be away for a while
                LOG.warning("the database takes no sign of life: %s", error)

    def _sign(self) -> None:
        for binary in BINARIES:
            services.beat(self._database, self._host, binary)
