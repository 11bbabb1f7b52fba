"""The cloud as a WSGI application, which authenticates, applies faults and calls the handlers, and its server."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cheroot import wsgi

from karbor.sandbox.discovery import require_offered
from karbor.sandbox.errors import phrase, render
from karbor.sandbox.faults import Faults
from karbor.sandbox.http import MICROVERSIONS, Answer, Fault, Request, Route, find_route
from karbor.sandbox.state import State
from karbor.sandbox.tokens import authenticate

THREADS = 24
IDLE_SECONDS = 300  # a kept-alive connection may rest this long, so that pooled clients do not meet a closed one


class Dropped(Exception):
    """The connection is to be cut without an answer."""


class Application:
    """The cloud as a WSGI callable over one State."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.faults = Faults()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        environ["sandbox.faults"] = self.faults
        try:
            answer = self._answer(request)
        except Fault as fault:
            request.drain()
            answer = render(fault, request.service)
        except Dropped:
            environ["sandbox.socket"].shutdown(socket.SHUT_RDWR)
            answer = Answer(500)
        headers = {"x-openstack-request-id": f"req-{uuid.uuid4()}", **answer.headers}
        length = len(answer.raw or b"") if answer.stream is None else answer.length
        if length is not None and answer.status != 204:
            headers["Content-Length"] = str(length)
        start_response(f"{answer.status} {phrase(answer.status)}", list(headers.items()))
        if request.method == "HEAD":
            return []  # whatever followed would be read as the next answer on this connection (RFC 9110, 9.3.2)
        return answer.stream if answer.stream is not None else [answer.raw or b""]

    def _answer(self, request: Request) -> Answer:
        route, params = find_route(request.method, request.parts)
        require_offered(self.state, request)
        if route.auth:
            with self.state.lock:
                request.token = authenticate(self.state, request)
        if request.service == "volume" and "project" in params and params.pop("project") != request.project_id:
            raise Fault(400, "Malformed request url")
        if route.auth and request.service in MICROVERSIONS:
            request.microversion(request.service)
        if route.locked:
            request.body()
        fault = self.faults.match(request)
        if fault is None:
            return self._handle(route, request, params, None)
        after = fault["after"] or fault["action"] == "half_made"
        if not after:
            self._strike(fault, request)
        answer = self._handle(route, request, params, fault["action"])
        if after and fault["action"] == "drop" and "bytes" in fault:
            return self._cut_short(answer, fault["bytes"], request.environ["sandbox.socket"])
        if after:
            self._strike(fault, request)
        return answer

    def _handle(self, route: Route, request: Request, params: dict[str, str], fate: str | None) -> Answer:
        with self.state.lock:
            self.state.run_due()
        if not route.locked:
            return self._encoded(route.handler(self.state, request, **params), request)
        with self.state.lock:
            self.state.fate = fate
            try:
                return self._encoded(route.handler(self.state, request, **params), request)
            finally:
                self.state.fate = None

    @staticmethod
    def _encoded(answer: Answer, request: Request) -> Answer:
        if answer.json is not None:
            answer.raw = json.dumps(answer.json).encode()
            answer.headers.setdefault("Content-Type", "application/json")
        if request.service in MICROVERSIONS and request.token:
            major, minor = request.microversion(request.service)
            answer.headers["OpenStack-API-Version"] = f"{request.service} {major}.{minor}"
            answer.headers["Vary"] = "OpenStack-API-Version"
        return answer

    @staticmethod
    def _strike(fault: dict[str, Any], request: Request) -> None:
        if fault["action"] == "status":
            text = fault.get("message", "The service failed on demand.")
            raise Fault(fault["status"], text, headers=dict(fault.get("headers", {})))
        if fault["action"] in ("drop", "half_made"):
            raise Dropped
        if fault["action"] == "late":
            request.environ["sandbox.socket"].shutdown(socket.SHUT_RDWR)
        if fault["action"] in ("slow", "late"):
            time.sleep(fault.get("seconds", 1.0))

    @staticmethod
    def _cut_short(answer: Answer, size: int, connection: socket.socket) -> Answer:
        """`answer`, whose connection ends after `size` bytes of the body."""
        whole = answer.stream if answer.stream is not None else iter([answer.raw or b""])

        def part() -> Iterator[bytes]:
            left = size
            for piece in whole:
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    break
            connection.shutdown(socket.SHUT_RDWR)

        length = answer.length if answer.raw is None else len(answer.raw)
        return Answer(answer.status, stream=part(), length=length, headers=answer.headers)


class _Gateway(wsgi.Gateway_10):
    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]  # cheroot's stub knows no return value
        """The WSGI environment with the connection's socket, which faults cut."""
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environ, "sandbox.socket": self.req.conn.socket}


class Server:
    """The application on a loopback port. `port` 0 takes a free one; `url` tells which."""

    def __init__(self, state: State, port: int) -> None:
        self._server = wsgi.Server(
            ("127.0.0.1", port),
            Application(state),
            numthreads=THREADS,
            request_queue_size=128,
            timeout=IDLE_SECONDS,
            shutdown_timeout=1,
        )
        self._server.gateway = _Gateway
        self._server.keep_alive_conn_limit = 1024
        self._server.expiration_interval = 0.05  # also how long a stop waits
        self._server.prepare()
        self.url = f"http://127.0.0.1:{self._server.bind_addr[1]}"
        self._thread = threading.Thread(target=self._server.serve, name="sandbox-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End open requests and free the port."""
        self._server.stop()
        self._thread.join()
