"""Errors as the v1 API writes them: `{"<fault>": {"code": …, "message": …}}`."""

from __future__ import annotations

import json
import logging

import falcon
import sqlalchemy as sa

from karbor.api.identity import REQUEST_ID
from karbor.model import errors

LOG = logging.getLogger(__name__)

NAMES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 501: "notImplemented", 503: "serviceUnavailable",
}  # fmt: skip
"""The fault of each status; every other one is a `computeFault`."""

_STATUSES: tuple[tuple[type[errors.KarborError], int], ...] = (
    (errors.Invalid, 400),
    (errors.NotFound, 404),
    (errors.Gone, 404),
    (errors.Forbidden, 403),
    (errors.Conflict, 409),
    (errors.QuotaExceeded, 413),
    (errors.OverQuota, 413),
    (errors.Unauthorized, 401),
    (errors.Refused, 403),
    (errors.Unclear, 503),
    (errors.BankError, 503),
    (errors.KarborError, 500),
)


class Fault(errors.KarborError):
    """An answer that no other error stands for, such as 409 or 424."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: errors.KarborError) -> int:
    """The HTTP status that stands for an error."""
    if isinstance(error, Fault):
        return error.status
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def body_of(status: int, message: str) -> dict[str, dict[str, object]]:
    """The body of an answer with this status."""
    fault: dict[str, object] = {"code": status, "message": message}
    if status == 413:
        fault["retryAfter"] = "0"
    return {NAMES.get(status, "computeFault"): fault}


def install(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Let `app` answer every error in this form."""
    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(sa.exc.OperationalError, _of_database)
    app.add_error_handler(sa.exc.TimeoutError, _of_database)
    app.add_error_handler(falcon.HTTPError, _of_falcon)
    app.add_error_handler(errors.KarborError, _of_karbor)


def _of_karbor(request: falcon.Request, response: falcon.Response, error: errors.KarborError, _: object) -> None:
    status = status_of(error)
    if status >= 500:
        LOG.warning("%s %s %s was answered with %d: %s", _id(request), request.method, request.path, status, error)
    _write(response, status, str(error))


def _of_falcon(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: object) -> None:
    """An unknown path or method, or a request that no HTTP server understands."""
    status = error.status_code
    if status in (404, 405):
        _write(response, 404, f"there is no {request.method} {request.path}")
    else:
        _write(response, status, error.description or error.title or "the request is not understood")


def _of_database(request: falcon.Request, response: falcon.Response, error: Exception, _: object) -> None:
    """The database is away, or has no connection or lock to give: that passes, so it is worth another try."""
    cause = getattr(error, "orig", error)
    LOG.error("%s %s %s failed at the database: %s", _id(request), request.method, request.path, cause)
    _write(response, 503, "the database does not answer now; try again later")


def _unexpected(request: falcon.Request, response: falcon.Response, error: Exception, _: object) -> None:
    LOG.error("%s %s %s failed", _id(request), request.method, request.path, exc_info=error)
    _write(response, 500, f"the service has failed at this; its log has the reason under {_id(request)}")


def _id(request: falcon.Request) -> str:
    """The request's id, which is in the answer too."""
    return str(request.env.get(REQUEST_ID, "a request"))


def _write(response: falcon.Response, status: int, message: str) -> None:
    response.status = status
    response.content_type = falcon.MEDIA_JSON
    response.data = json.dumps(body_of(status, message)).encode()
