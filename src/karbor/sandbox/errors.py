"""The shapes in which each OpenStack service words a refusal."""

from __future__ import annotations

import html
import json
from http import HTTPStatus

from karbor.sandbox.http import Answer, Fault

COMPUTE_AND_VOLUME_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def phrase(status: int) -> str:
    """The reason phrase of an HTTP status."""
    return HTTPStatus(status).phrase


def render(fault: Fault, service: str) -> Answer:
    """The answer that tells `fault` as `service` would."""
    status = fault.status
    if service == "image":
        return Answer(
            status,
            raw=_glance_page(fault).encode(),
            headers={"Content-Type": "text/html; charset=UTF-8", **fault.headers},
        )
    headers = dict(fault.headers)
    body: dict[str, object]
    if service == "identity" or status == 401:
        body = {"error": {"code": status, "message": fault.message, "title": phrase(status)}}
    elif service == "network":
        body = {"NeutronError": {"type": fault.type or _neutron_type(status), "message": fault.message, "detail": ""}}
    elif service in ("compute", "volume"):
        inner: dict[str, object] = {"code": status, "message": fault.message}
        if status in (413, 429):
            inner["retryAfter"] = headers.setdefault("Retry-After", "0")
        body = {fault.type or COMPUTE_AND_VOLUME_KEYS.get(status, "computeFault"): inner}
    else:
        body = {"error": fault.message}
    return Answer(status, raw=json.dumps(body).encode(), headers={"Content-Type": "application/json", **headers})


def _neutron_type(status: int) -> str:
    return {400: "HTTPBadRequest", 403: "PolicyNotAuthorized", 404: "HTTPNotFound", 409: "HTTPConflict"}.get(
        status, f"HTTP{phrase(status).replace(' ', '')}"
    )


def _glance_page(fault: Fault) -> str:
    title = f"{fault.status} {phrase(fault.status)}"
    return (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n"
        f"  {html.escape(fault.message)}<br /><br />\n </body>\n</html>"
    )
