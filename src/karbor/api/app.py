"""The API as a WSGI application: which handler answers which path and method."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import falcon
from oslo_policy.policy import Enforcer

from karbor import clock
from karbor.api import faults, identity, openapi
from karbor.api.service import Answer, Service
from karbor.api.v1 import (
    checkpoints,
    copies,
    operation_logs,
    plans,
    protectables,
    providers,
    quotas,
    restores,
    scheduled_operations,
    services,
    triggers,
    verifications,
    versions,
)
from karbor.store.database import again

LOG = logging.getLogger(__name__)

Handler = Callable[..., Answer]

ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/providers": {"GET": providers.index},
    "/providers/{provider_id}": {"GET": providers.show},
    "/providers/{provider_id}/checkpoints": {"GET": checkpoints.index, "POST": checkpoints.create},
    "/providers/{provider_id}/checkpoints/action": {"POST": copies.create},
    "/providers/{provider_id}/checkpoints/{id}": {
        "GET": checkpoints.show, "PUT": checkpoints.reset, "DELETE": checkpoints.delete,
    },
    "/protectables": {"GET": protectables.index},
    "/protectables/{type}": {"GET": protectables.show},
    "/protectables/{type}/instances": {"GET": protectables.instances},
    "/protectables/{type}/instances/{id}": {"GET": protectables.instance},
    "/plans": {"GET": plans.index, "POST": plans.create},
    "/plans/{id}": {"GET": plans.show, "PUT": plans.update, "DELETE": plans.delete},
    "/restores": {"GET": restores.index, "POST": restores.create},
    "/restores/{id}": {"GET": restores.show, "DELETE": restores.delete},
    "/verifications": {"GET": verifications.index, "POST": verifications.create},
    "/verifications/{id}": {"GET": verifications.show},
    "/triggers": {"GET": triggers.index, "POST": triggers.create},
    "/triggers/{id}": {"GET": triggers.show, "PUT": triggers.update, "DELETE": triggers.delete},
    "/scheduled_operations": {"GET": scheduled_operations.index, "POST": scheduled_operations.create},
    "/scheduled_operations/{id}": {
        "GET": scheduled_operations.show, "PUT": scheduled_operations.update, "DELETE": scheduled_operations.delete,
    },
    "/operation_logs": {"GET": operation_logs.index},
    "/operation_logs/{id}": {"GET": operation_logs.show},
    "/operation_logs/{id}/action": {"POST": operation_logs.action},
    "/quotas/{id}": {"GET": quotas.show, "PUT": quotas.update, "DELETE": quotas.delete},
    "/quotas/{id}/detail": {"GET": quotas.detail},
    "/quotas/{id}/defaults": {"GET": quotas.defaults},
    "/quota_classes/{name}": {"GET": quotas.show_class, "PUT": quotas.update_class},
    "/os-services": {"GET": services.index},
    "/os-services/{id}": {"PUT": services.update},
}  # fmt: skip
"""Behind `/v1/{project_id}`; a path or method that is not here is answered with 404."""

COLLECTIONS = frozenset(path.rpartition("/")[2] for path in ROUTES if not path.endswith("}"))
"""The last part of the paths that may also end in `.json`."""


PREFIX = "/v1/{project_id}"

OPEN: Mapping[str, Callable[[Service, falcon.Request], Answer]] = {
    "/": versions.index,
    "/healthcheck": versions.health,
    "/openapi.json": openapi.handler(PREFIX, ROUTES),
}
"""What answers without a token."""
VERSION = PREFIX.partition("/{")[0]
"""The version alone: nothing is there, with or without a token."""


def make_app(
    service: Service, *, identity: Callable[[WSGIApplication], WSGIApplication], enforcer: Enforcer
) -> WSGIApplication:
    """The whole API. `identity` puts keystonemiddleware before what needs a token, `enforcer` knows the policy."""
    app = falcon.App(middleware=[_KnownMethods()])
    app.req_options.strip_url_path_trailing_slash = True
    faults.install(app)
    for path, methods in ROUTES.items():
        app.add_route(PREFIX + path, _Resource({name: _guarded(service, enforcer, do) for name, do in methods.items()}))
    public = falcon.App(middleware=[_KnownMethods()])
    public.req_options.strip_url_path_trailing_slash = True
    faults.install(public)
    for path, handler in OPEN.items():
        public.add_route(path, _Resource(dict.fromkeys(("GET", "HEAD"), _plain(service, handler))))
    return _Front(public, identity(app))


class _Front:
    """Gives each request its id, in every answer, and lets those in that need no token."""

    def __init__(self, public: WSGIApplication, guarded: WSGIApplication) -> None:
        self._public = public
        self._guarded = guarded

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request_id = f"req-{clock.new_id()}"
        environ[identity.REQUEST_ID] = request_id
        path = environ.get("PATH_INFO") or "/"
        name = path.rpartition("/")[2]
        if name.endswith(".json") and name.removesuffix(".json") in COLLECTIONS:
            environ["PATH_INFO"] = path.removesuffix(".json")

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            ids = [("X-Openstack-Request-Id", request_id), ("X-Compute-Request-Id", request_id)]
            return start_response(status, [*headers, *ids], *exc_info)

        LOG.debug("%s %s %s", request_id, environ.get("REQUEST_METHOD"), path)
        plain = path.rstrip("/")
        is_open = plain == VERSION or (plain or "/") in OPEN
        return (self._public if is_open else self._guarded)(environ, start)


class _KnownMethods:
    """A method that HTTP does not know is as unknown as any other that a path does not have."""

    def process_request(self, request: falcon.Request, _: falcon.Response) -> None:
        if request.method not in falcon.COMBINED_METHODS:
            raise falcon.HTTPNotFound


class _Resource:
    """A path: a responder for each of its methods, and 404 for the others."""

    def __init__(self, responders: Mapping[str, Callable[..., None]]) -> None:
        for method in falcon.COMBINED_METHODS:
            setattr(self, f"on_{method.lower()}", responders.get(method, _absent))


def _absent(request: falcon.Request, response: falcon.Response, **ids: str) -> None:
    raise falcon.HTTPNotFound


def _guarded(service: Service, enforcer: Enforcer, handler: Handler) -> Callable[..., None]:
    def respond(request: falcon.Request, response: falcon.Response, project_id: str, **ids: str) -> None:
        caller = identity.caller_of(request, project_id)
        request.context.caller = caller
        request.context.enforcer = enforcer
        _write(response, again(lambda: handler(service, caller, request, **ids)))

    return respond


def _plain(service: Service, handler: Callable[[Service, falcon.Request], Answer]) -> Callable[..., None]:
    def respond(request: falcon.Request, response: falcon.Response) -> None:
        _write(response, handler(service, request))

    return respond


def _write(response: falcon.Response, answer: Answer) -> None:
    response.status = answer.status
    response.content_type = falcon.MEDIA_JSON
    response.data = b"" if answer.body is None else json.dumps(answer.body).encode()
