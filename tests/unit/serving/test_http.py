"""The API's HTTP server: what a client can take up of it before anybody has looked at its token."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest

from karbor.serving import http as serving
from karbor.serving.http import Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def application(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Tells what it could read of the body; of `/unread` it reads none."""
    found = "unread"
    if environ["PATH_INFO"] != "/unread":
        try:
            found = str(len(environ["wsgi.input"].read(1000)))
        except OSError as error:
            found = str(error)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(found)))])
    return [found.encode()]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with one thread, which is not patient."""
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.5)
    server = Server(application, "127.0.0.1", 0, 1)
    server.start()
    yield server
    server.stop()


def connection(server: Server) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", server.port), timeout=10))


def answer(client: socket.socket) -> tuple[int, str]:
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response.read().decode()


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2 * serving.MAX_HEAD, {413}),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * serving.MAX_HEAD, {413}),
        (b"GET /" + b"x" * 2 * serving.MAX_HEAD, {400, 414}),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (serving.MAX_BODY + 1), {413}),
    ],
    ids=["a long header", "many headers", "a long path", "a long body"],
)
def test_what_is_too_large_is_not_read_to_its_end(server: Server, head: bytes, statuses: set[int]) -> None:
    with connection(server) as client:
        client.sendall(head[: serving.MAX_HEAD + 1000])
        assert answer(client)[0] in statuses


def test_a_head_that_does_not_come_to_its_end_holds_a_thread_for_a_moment_only(server: Server) -> None:
    with connection(server) as slow, connection(server) as silent, connection(server) as client:
        client.sendall(GET)
        began = time.monotonic()
        for letter in GET[:4]:  # each byte in time, and yet too slow
            slow.sendall(bytes([letter]))
            time.sleep(0.1)
        assert answer(client) == (200, "0")
        assert time.monotonic() - began < 5
        assert {answer(slow)[0], answer(silent)[0]} == {408}


def test_a_body_that_does_not_come_to_its_end_is_told_to_the_application(server: Server) -> None:
    with connection(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"x" * 50)
        assert answer(client) == (200, "timed out")
        assert client.recv(1) == b"", "nothing more is expected on this connection"


def test_a_connection_may_rest_for_longer_between_requests(server: Server) -> None:
    with connection(server) as client:
        for _ in range(2):
            client.sendall(GET)
            assert answer(client) == (200, "0")
            time.sleep(0.8)


def test_a_chunk_that_is_too_large_is_not_read(server: Server) -> None:
    with connection(server) as client:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + b"%x\r\n" % (200 << 20) + b"x" * 1000)
        assert answer(client) == (200, "Request Entity Too Large")


def test_what_is_left_of_a_body_in_chunks_is_no_request(server: Server) -> None:
    with connection(server) as client:
        head = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + b"%x\r\n" % len(GET) + GET + b"\r\n0\r\n\r\n")
        assert answer(client) == (200, "unread")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            answer(client)
