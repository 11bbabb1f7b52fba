"""A cloud whose answers a test writes itself: for what no healthy service says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROJECT = "0123456789abcdef0123456789abcdef"


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What to answer: JSON, or bytes as they are; `cut` ends the connection without an answer."""

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class ScriptedCloud:
    """Logs everybody in; answers the calls to its services by `reply(seen)`."""

    def __init__(self, reply: Callable[[Seen], Reply], compute: str = "2.93", volume: str = "3.70") -> None:
        self.reply = reply
        self.newest = {"compute": compute, "volume": volume}
        self.seen: list[Seen] = []
        self.logins = 0
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                cloud.answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    @contextmanager
    def running(self, folder: Path) -> Iterator[ScriptedCloud]:
        """Serve, with a clouds.yaml in `folder` that names it `scripted`."""
        auth = {"auth_url": f"{self.url}/identity/v3", "username": "u", "password": "hush", "project_name": "p"}
        domains = {"user_domain_id": "default", "project_domain_id": "default"}
        folder.joinpath("clouds.yaml").write_text(json.dumps({"clouds": {"scripted": {"auth": {**auth, **domains}}}}))
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        reply = self.known(handler.command, handler.path)
        if reply is None:
            seen = Seen(handler.command, handler.path, dict(handler.headers), self.body(handler))
            self.seen.append(seen)
            reply = self.reply(seen)
        else:
            self.body(handler)
        if reply.cut:
            handler.close_connection = True
            return
        body = json.dumps(reply.json).encode() if reply.body is None else reply.body
        body = b"" if reply.json is None and reply.body is None else body
        handler.send_response(reply.status)
        for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        if int(reply.headers.get("Content-Length", len(body))) != len(body):
            handler.close_connection = True

    @staticmethod
    def body(handler: BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding") != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(handler.rfile.readline(), 16):
            whole += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return whole

    def known(self, method: str, path: str) -> Reply | None:
        """Logins and version documents."""
        if path == "/identity/v3":
            return Reply(json={"version": {"id": "v3.14", "status": "stable", "links": [self.link("/identity/v3")]}})
        if path == "/identity/v3/auth/tokens":
            self.logins += 1
            return Reply(201, self.token(), headers={"X-Subject-Token": f"secret-token-{self.logins}"})
        for service, newest in self.newest.items():
            if method == "GET" and path.rstrip("/") == f"/{service}":
                oldest = newest.split(".")[0] + ".0"
                links = [self.link(f"/{service}/")]
                version = {"id": f"v{oldest}", "status": "CURRENT", "version": newest, "min_version": oldest}
                return Reply(json={"version": {**version, "links": links}})
        if path.rstrip("/") == "/image":
            version = {"id": "v2.15", "status": "CURRENT", "links": [self.link("/image/v2/")]}
            return Reply(300, {"versions": [version]})
        return None

    def link(self, path: str) -> dict[str, str]:
        return {"rel": "self", "href": self.url + path}

    def token(self) -> dict[str, Any]:
        types = {"compute": "compute", "volume": "block-storage", "image": "image", "network": "network"}
        catalog = [
            {
                "type": type_,
                "name": name,
                "endpoints": [{"id": name, "interface": "public", "region_id": "r", "url": f"{self.url}/{name}"}],
            }
            for name, type_ in types.items()
        ]
        user = {"id": "u1", "name": "u", "domain": {"id": "default", "name": "Default"}}
        project = {"id": PROJECT, "name": "p", "domain": {"id": "default", "name": "Default"}}
        times = {"expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2020-01-01T00:00:00.000000Z"}
        return {"token": {"methods": ["password"], "user": user, "project": project, "catalog": catalog, **times}}
