"""Where the services are and which versions they speak: what clients ask for first."""

from __future__ import annotations

import re
from typing import Any

from karbor.sandbox.http import MICROVERSIONS, Answer, Fault, Request, route
from karbor.sandbox.state import Object, State

REGION = "sandbox"
INTERFACES = ("public", "internal", "admin")
# type, name, path of the endpoint
ENDPOINTS = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("volumev3", "cinderv3", "/volume/v3/$(project_id)s"),
    ("block-storage", "cinder", "/volume/v3/$(project_id)s"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
)
BROUGHT = {"routers": "router", "floatingips": "router"}  # Neutron's collections, and the extension that brings each
CAN_LACK = {"compute", "volume", "image", "network", *BROUGHT.values()}
GLANCE_VERSIONS = ("v2.15", "v2.9", "v2.8", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0")


def lacks(state: State, name: str | None) -> bool:
    """Whether the cloud does without a service, which no catalogue names then, or without an extension of Neutron."""
    return name in state.table("lack")


def require_offered(state: State, request: Request) -> None:
    """Raises Fault 404 where the path is one that a lacking extension would bring."""
    if request.service == "network" and lacks(state, BROUGHT.get("".join(request.parts[2:3]))):
        raise Fault(404, "The resource could not be found.")


def built_in_services() -> list[Object]:
    """The services of the sandbox itself, as Keystone's administration lists them."""
    return [
        {"id": f"{type}-service", "type": type, "name": name, "description": "", "enabled": True}
        for type, name, _ in ENDPOINTS
    ]


def built_in_endpoints(root: str) -> list[Object]:
    """Their endpoints, below `root` (such as "http://127.0.0.1:5000")."""
    return [
        {
            "id": f"{type}-{interface}",
            "service_id": f"{type}-service",
            "interface": interface,
            "region": REGION,
            "region_id": REGION,
            "url": f"{root}{path}",
            "enabled": True,
        }
        for type, _, path in ENDPOINTS
        for interface in INTERFACES
    ]


def catalogue(state: State, root: str, project_id: str) -> list[dict[str, Any]]:
    """The service catalogue of a token: what is built in, and what an admin entered."""
    lacking = {type for type, _, path in ENDPOINTS if lacks(state, path.split("/")[1])}
    offered = [one for one in built_in_services() if one["type"] not in lacking]
    services = [*offered, *state.table("service").values()]
    endpoints = [one for one in (*built_in_endpoints(root), *state.table("endpoint").values()) if one["enabled"]]
    shown = ("id", "interface", "region", "region_id")
    return [
        {
            **{name: service[name] for name in ("id", "type", "name")},
            "endpoints": [
                {**{name: one[name] for name in shown}, "url": _filled(one["url"], project_id)}
                for one in endpoints
                if one["service_id"] == service["id"]
            ],
        }
        for service in services
        if service["enabled"]
    ]


def _filled(url: str, project_id: str) -> str:
    """An endpoint's address for one project."""
    return re.sub(r"[$%]\((?:project_id|tenant_id)\)s", project_id, url)


def _version(request: Request, service: str, id: str, path: str, status: str = "CURRENT") -> dict[str, Any]:
    links = [{"rel": "self", "href": f"{request.root}{path}/"}]
    document: dict[str, Any] = {"id": id, "status": status, "links": links}
    if service in MICROVERSIONS:
        lowest, highest = MICROVERSIONS[service]
        document |= {
            "updated": "2022-10-05T00:00:00Z",
            "version": f"{highest[0]}.{highest[1]}",
            "min_version": f"{lowest[0]}.{lowest[1]}",
        }
    return document


@route("GET", "/identity", auth=False)
def identity_versions(state: State, request: Request) -> Answer:
    """The list of Keystone's versions."""
    return Answer(300, {"versions": {"values": [_keystone(request)]}})


@route("GET", "/identity/v3", auth=False)
def identity_version(state: State, request: Request) -> Answer:
    """Keystone's version."""
    return Answer(200, {"version": _keystone(request)})


def _keystone(request: Request) -> dict[str, Any]:
    return {**_version(request, "identity", "v3.14", "/identity/v3", "stable"), "updated": "2020-04-07T00:00:00Z"}


@route("GET", "/compute", auth=False)
def compute_versions(state: State, request: Request) -> Answer:
    """The list of Nova's versions."""
    return Answer(200, {"versions": [_version(request, "compute", "v2.1", "/compute/v2.1")]})


@route("GET", "/compute/v2.1", auth=False)
def compute_version(state: State, request: Request) -> Answer:
    """Nova's version."""
    return Answer(200, {"version": _version(request, "compute", "v2.1", "/compute/v2.1")})


@route("GET", "/volume", auth=False)
def volume_versions(state: State, request: Request) -> Answer:
    """The list of Cinder's versions."""
    return Answer(300, {"versions": [_version(request, "volume", "v3.0", "/volume/v3")]})


@route("GET", "/volume/v3", auth=False)
def volume_version(state: State, request: Request) -> Answer:
    """Cinder's version."""
    return Answer(200, {"versions": [_version(request, "volume", "v3.0", "/volume/v3")]})


@route("GET", "/image", auth=False)
@route("GET", "/image/versions", auth=False)
def image_versions(state: State, request: Request) -> Answer:
    """The list of Glance's versions."""
    documents = [
        _version(request, "image", id, "/image/v2", "CURRENT" if id == GLANCE_VERSIONS[0] else "SUPPORTED")
        for id in GLANCE_VERSIONS
    ]
    return Answer(300, {"versions": documents})


@route("GET", "/network", auth=False)
def network_versions(state: State, request: Request) -> Answer:
    """The list of Neutron's versions."""
    return Answer(200, {"versions": [_version(request, "network", "v2.0", "/network/v2.0")]})
