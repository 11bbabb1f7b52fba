"""What a request changes is told to other services: when it begins, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import falcon

from karbor.api.service import Service
from karbor.model.errors import KarborError


@contextmanager
def told(service: Service, request: falcon.Request, event: str, **traits: Any) -> Iterator[dict[str, Any]]:
    """Send `karbor.<event>.start`, then `.end` or `.error` when the block has ended.

    Names and `traits` are those of Karbor before this one. What the block adds to the payload that it gets goes into
    the last notification. Nothing secret may be among either.
    """
    caller = request.context.caller
    payload = {
        "request_id": caller.request_id, "tenant_id": caller.project_id, "user_id": caller.user_id,
        "client_ip": request.remote_addr, **traits,
    }  # fmt: skip
    service.notify(f"karbor.{event}.start", payload)
    try:
        yield payload
    except Exception as error:
        message = str(error) if isinstance(error, KarborError) else "the service has failed; its log has the reason"
        reason = {"message": message, "exception": type(error).__name__}
        service.notify(f"karbor.{event}.error", {**payload, **reason})
        raise
    service.notify(f"karbor.{event}.end", payload)
