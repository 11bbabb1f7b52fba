"""The API's own HTTP server: cheroot, with threads, for one process; many are gunicorn's business.

What comes before a token has been looked at is bounded, in size and in time, so that nobody can hold the threads or the
memory for long. Whoever opens many connections at once still can: a proxy stands before it where strangers reach it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from cheroot import wsgi
from cheroot.makefile import MakeFile, StreamReader
from cheroot.server import HTTPConnection, HTTPRequest

from karbor import clock
from karbor.config import WSGIApp
from karbor.model.errors import KarborError

IDLE_SECONDS = 75
"""A kept-alive connection may rest this long."""
HEAD_SECONDS = 5.0
"""A request's line and headers have to arrive within this time."""
BODY_SECONDS = 30.0
"""And its body within this."""
MAX_HEAD = 1 << 16
"""Bytes of a request's line and headers: 1000 ids in a filter fit."""
MAX_BODY = 10 << 20
"""Bytes that are taken in of a body, or of a chunk of it; the API has its own, lower limit, and says so better."""
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
        self._server.ConnectionClass = _Connection
        self._server.max_request_header_size = MAX_HEAD
        self._server.max_request_body_size = MAX_BODY
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


class _Incoming(socket.SocketIO):
    """What a client sends. It has until a moment for all of it: a time-out of each read would let it dribble."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, "rb")
        self._connection = connection
        self._until = 0.0

    def within(self, seconds: float) -> None:
        """What is read from now on has to come within this time."""
        self._until = clock.monotonic() + seconds

    @property
    def is_late(self) -> bool:
        """Whether the time is over: nothing more can be read then."""
        return clock.monotonic() >= self._until

    def readinto(self, buffer: Any) -> int | None:
        usual = self._connection.gettimeout()
        self._connection.settimeout(max(self._until - clock.monotonic(), 0.001))
        try:
            return super().readinto(buffer)
        finally:
            self._connection.settimeout(usual)


class _Reader(StreamReader):
    """cheroot's reader, over what comes in with a time limit."""

    def __init__(self, incoming: _Incoming, size: int) -> None:
        super(StreamReader, self).__init__(incoming, size)  # past cheroot's own, which has no such limit
        self.bytes_read = 0


class _Request(HTTPRequest):
    def parse_request(self) -> None:
        self.conn.incoming.within(HEAD_SECONDS)
        super().parse_request()
        self.conn.incoming.within(BODY_SECONDS)
        if self.chunked_read:
            self.close_connection = True  # what is left of such a body would be taken for the next request

    def send_headers(self) -> None:
        if self.conn.incoming.is_late:
            self.close_connection = True  # else the rest of the body would be read first
        super().send_headers()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request

    def __init__(self, server: Any, connection: socket.socket, _: Callable[..., Any]) -> None:
        self.incoming = _Incoming(connection)
        super().__init__(server, connection, self._file)

    def _file(self, connection: socket.socket, mode: str, size: int) -> Any:
        return _Reader(self.incoming, size) if mode == "rb" else MakeFile(connection, mode, size)
