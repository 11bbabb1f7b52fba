"""Clients that ask as fast as they are answered, over connections that stay open, each with the member's token."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from karbor import clock

TIMEOUT = 60.0


class Client:
    """One connection to the API, in one project."""

    def __init__(self, url: str, project_id: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=TIMEOUT)
        self._prefix = f"/v1/{project_id}"
        self._headers = {"X-Auth-Token": token, "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of an answer, which has to be a success."""
        self._connection.request(method, self._prefix + path, body, self._headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {data[:500].decode()}")
        return data

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """What an answer to a document says."""
        return json.loads(self.ask("POST", path, json.dumps(document).encode()))

    def timed(self, method: str, path: str, body: bytes | None = None) -> float:
        """Seconds until the whole answer was there."""
        began = clock.monotonic()
        self.ask(method, path, body)
        return clock.monotonic() - began


def rate(clients: list[Client], seconds: float, method: str, path: str, body: bytes | None = None) -> float:
    """Answers a second while all clients ask the same, one request after the other."""
    counts = []
    end = (began := clock.monotonic()) + seconds

    def run(client: Client) -> None:
        count = 0
        while clock.monotonic() < end:
            client.ask(method, path, body)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=run, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) < len(clients):
        raise SystemExit(f"{method} {path}: a client has failed")
    return sum(counts) / (clock.monotonic() - began)
