"""HTTP as the handlers see it: a request, an answer, a fault, and the table of routes."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

LARGEST_BODY = 4 << 20  # bytes of a JSON body; uploads are streamed and not bounded by it

SERVICES = ("identity", "compute", "volume", "image", "network", "sandbox")
MICROVERSIONS = {"compute": ((2, 1), (2, 93)), "volume": ((3, 0), (3, 70))}

Handler = Callable[..., "Answer"]


class Fault(Exception):
    """A refusal. It is rendered in the error shape of the service whose path was asked (see `errors.render`).

    `type` is Neutron's exception name ("PortInUse"), for Nova and Cinder the key of the body where it is unusual.
    """

    def __init__(
        self,
        status: int,
        message: str,
        type: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.headers = headers or {}


class ConnectionLost(Exception):
    """The client went away in the middle of its upload."""


@dataclass
class Answer:
    """What goes back: `json`, or `raw` bytes, or a `stream` of them (with its `length` where known), or nothing."""

    status: int = 200
    json: Any = None
    raw: bytes | None = None
    stream: Iterator[bytes] | None = None
    length: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Query:
    """The parameters after the question mark, each of which may be given several times."""

    def __init__(self, text: str) -> None:
        self.pairs = parse_qsl(text, keep_blank_values=True)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The last value of `name`."""
        return next((value for key, value in reversed(self.pairs) if key == name), default)

    def all(self, name: str) -> list[str]:
        """All values of `name`, in the order given."""
        return [value for key, value in self.pairs if key == name]

    def number(self, name: str, otherwise: int) -> int:
        """The value of `name` as a whole number, `otherwise` where it is not given. Raises Fault 400."""
        text = self.get(name)
        if text is None:
            return otherwise
        if not text.isdecimal():
            raise Fault(400, f"{name} param must be an integer")
        return int(text)

    def names(self) -> set[str]:
        """The names that were given."""
        return {key for key, _ in self.pairs}

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)


class Request:
    """One call. `project_id`, `user_id`, `roles` and `is_admin` come from the token; `token` is the token's record."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self.parts = [part.replace("%2F", "/") for part in self.path.split("/") if part]
        self.service = self.parts[0] if self.parts and self.parts[0] in SERVICES else "sandbox"
        self.query = Query(environ.get("QUERY_STRING", ""))
        self.root = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '127.0.0.1')}"
        self.token: dict[str, Any] = {}
        self._body: bytes | None = None

    @property
    def project_id(self) -> str:
        return str(self.token["project_id"])

    @property
    def user_id(self) -> str:
        return str(self.token["user_id"])

    @property
    def roles(self) -> list[str]:
        return list(self.token["roles"])

    @property
    def is_admin(self) -> bool:
        return "admin" in self.token["roles"]

    @property
    def rest(self) -> str:
        """The path after the service's prefix: "/volumes/detail", "/servers/{id}/action"."""
        skipped = {"identity": 2, "compute": 2, "volume": 3, "image": 2, "network": 2, "sandbox": 1}[self.service]
        return "/" + "/".join(self.parts[skipped:])

    def header(self, name: str) -> str | None:
        """The value of a request header, its name in any case."""
        key = name.upper().replace("-", "_")
        value = self.environ.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}")
        return None if value is None else str(value)

    def microversion(self, service: str) -> tuple[int, int]:
        """The version asked for, the lowest where none was. Raises Fault 406 beyond the offered, 400 on nonsense."""
        lowest, highest = MICROVERSIONS[service]
        asked = self.header("OpenStack-API-Version") or ""
        name, _, version = asked.strip().partition(" ")
        if name != service:
            version = self.header("X-OpenStack-Nova-API-Version") or "" if service == "compute" else ""
        if not version:
            return lowest
        if version == "latest":
            return highest
        match = re.fullmatch(r"(\d+)\.(\d+)", version)
        if match is None:
            raise Fault(400, f"API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum.")
        wanted = (int(match[1]), int(match[2]))
        if not lowest <= wanted <= highest:
            raise Fault(
                406,
                f"Version {version} is not supported by the API. Minimum is {lowest[0]}.{lowest[1]} "
                f"and maximum is {highest[0]}.{highest[1]}.",
            )
        return wanted

    def chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The body in pieces of at most `size` bytes. Raises ConnectionLost where it ends before its announced end."""
        stream = self.environ["wsgi.input"]
        left = None if self._is_chunked else int(self.environ.get("CONTENT_LENGTH") or 0)
        while left is None or left > 0:
            try:
                piece = stream.read(size if left is None else min(size, left))
            except (OSError, ValueError) as problem:  # ValueError: the server's word for a chunk without its header
                raise ConnectionLost(str(problem)) from problem
            if not piece:
                if left is None:
                    return
                raise ConnectionLost(f"{left} bytes of the body are missing")
            left = None if left is None else left - len(piece)
            yield piece

    def drain(self) -> None:
        """Read what is left of a chunked body, so that it is not taken for the next request on the connection."""
        with contextlib.suppress(ConnectionLost):
            for _ in self.chunks() if self._is_chunked else ():
                pass

    @property
    def _is_chunked(self) -> bool:
        return bool(self.environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked")

    def body(self) -> bytes:
        """The whole body, read once. Raises Fault 413 beyond LARGEST_BODY."""
        if self._body is None:
            pieces, size = [], 0
            for piece in self.chunks():
                size += len(piece)
                if size > LARGEST_BODY:
                    raise Fault(413, f"Request is too large: more than {LARGEST_BODY} bytes.")
                pieces.append(piece)
            self._body = b"".join(pieces)
        return self._body

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Fault 400 where it is none."""
        value = self._parsed()
        if not isinstance(value, dict):
            raise Fault(400, "Malformed request body: a JSON object is expected.")
        return value

    def json_list(self) -> list[Any]:
        """The body as a JSON array. Raises Fault 400 where it is none."""
        value = self._parsed()
        if not isinstance(value, list):
            raise Fault(400, "Malformed request body: a JSON array is expected.")
        return value

    def _parsed(self) -> Any:
        try:
            return json.loads(self.body())
        except ValueError:
            raise Fault(400, "Malformed request body: it is not valid JSON.") from None


@dataclass(frozen=True)
class Route:
    """A handler and how it is to be called."""

    handler: Handler
    names: tuple[str, ...]
    auth: bool
    locked: bool


@dataclass
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    any: _Node | None = None
    methods: dict[str, Route] = field(default_factory=dict)


_TREE = _Node()


def route(method: str, pattern: str, *, auth: bool = True, locked: bool = True) -> Callable[[Handler], Handler]:
    """Register `f(state, request, **params) -> Answer` for a path such as "/volume/v3/{project}/volumes/{id}".

    `auth=False` needs no token. The handler runs under `state.lock` with its body already read; `locked=False` is for
    those that stream: they take the lock themselves, where they need it. A `{project}` of the volume service is
    checked against the token and not handed on.
    """

    def register(handler: Handler) -> Handler:
        node, names = _TREE, []
        for part in pattern.strip("/").split("/"):
            if part.startswith("{"):
                names.append(part[1:-1])
                node.any = node = node.any or _Node()
            else:
                node = node.literal.setdefault(part, _Node())
        if method in node.methods:
            raise ValueError(f"{method} {pattern} is registered twice")
        node.methods[method] = Route(handler, tuple(names), auth, locked)
        return handler

    return register


def find_route(method: str, parts: list[str]) -> tuple[Route, dict[str, str]]:
    """The handler of a path and its parameters. Raises Fault 404, or 405 where only other methods are offered."""
    found = _walk(_TREE, parts, ())
    if found is None:
        raise Fault(404, "The resource could not be found.")
    node, values = found
    if method not in node.methods:
        raise Fault(405, f"The method {method} is not allowed for this resource.")
    route = node.methods[method]
    return route, dict(zip(route.names, values, strict=True))


def _walk(node: _Node, parts: list[str], values: tuple[str, ...]) -> tuple[_Node, tuple[str, ...]] | None:
    if not parts:
        return (node, values) if node.methods else None
    if (literal := node.literal.get(parts[0])) and (found := _walk(literal, parts[1:], values)):
        return found
    return _walk(node.any, parts[1:], (*values, parts[0])) if node.any else None
