"""The API's own HTTP server: cheroot, with threads, for one process; many are uwsgi's or gunicorn's business."""

from __future__ import annotations

import threading

from cheroot import wsgi

from karbor.config import WSGIApp
from karbor.model.errors import KarborError

IDLE_SECONDS = 75
"""A kept-alive connection may rest this long."""
STOPPING = 5
"""Seconds in which requests that are being answered may end when the server stops."""


class Server:
    """An application on an address and port (0: a free one), in threads of its own.

    Raises KarborError where the port cannot be had.
    """

    def __init__(self, application: WSGIApp, host: str, port: int, threads: int) -> None:
        self._server = wsgi.Server(
            (host, port),
            application,
            numthreads=threads,
            request_queue_size=128,
            timeout=IDLE_SECONDS,
            shutdown_timeout=STOPPING,
        )
        self._server.keep_alive_conn_limit = 1024
        self._server.expiration_interval = 0.1  # also how long a stop waits
        try:
            self._server.prepare()
        except OSError as error:
            raise KarborError(f"the API cannot listen on {host}:{port}: {error}; name another port") from error
        self.port = int(self._server.bind_addr[1])
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve, name="api", daemon=True)

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Free the port when what is being answered has been."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join()
