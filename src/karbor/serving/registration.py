"""Makes the service known to a Keystone: its entry in the catalogue, and the user as which it logs in."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.model.errors import KarborError, NotFound

SERVICE_TYPE = "data-protect"
SERVICE_NAME = "karbor"
ROLE = "service"
"""Lets a user validate other users' tokens."""
INTERFACES = ("public", "internal", "admin")


def enter_endpoints(cloud: Cloud, url: str, region: str) -> Iterator[str]:
    """Enter the service and its three endpoints as an administrator, or change them; one line for each thing.

    `url` is the address of the API up to its port or prefix. Raises CloudError, Refused where the user is no admin.
    """
    wanted = f"{url.rstrip('/')}/v1/$(project_id)s"
    found = cloud.get("identity", "/services", params={"type": SERVICE_TYPE})["services"]
    if found:
        service = found[0]
        yield f"service {SERVICE_TYPE}: is there"
    else:
        body = {"type": SERVICE_TYPE, "name": SERVICE_NAME, "description": "Application data protection"}
        service = cloud.post("identity", "/services", {"service": body})["service"]
        yield f"service {SERVICE_TYPE}: entered"
    known = cloud.get("identity", "/endpoints", params={"service_id": service["id"]})["endpoints"]
    for interface in INTERFACES:
        ours = [one for one in known if one["interface"] == interface and one["region_id"] == region]
        yield f"{interface} endpoint {wanted}: {_enter_endpoint(cloud, service['id'], interface, region, wanted, ours)}"


def _enter_endpoint(
    cloud: Cloud, service_id: str, interface: str, region: str, url: str, known: list[dict[str, Any]]
) -> str:
    """What was done so that there is one endpoint with this address."""
    if not known:
        body = {"service_id": service_id, "interface": interface, "region_id": region, "url": url}
        cloud.post("identity", "/endpoints", {"endpoint": body})
        return "entered"
    first, *more = known
    for one in more:
        cloud.delete("identity", f"/endpoints/{one['id']}")
    if first["url"] == url:
        return f"is there, {len(more)} others removed" if more else "is there"
    cloud.patch("identity", f"/endpoints/{first['id']}", {"endpoint": {"url": url}})
    return f"changed from {first['url']}"


def enter_user(
    cloud: Cloud, name: str, project: str, credentials: Path, *, new_password: bool = False
) -> Iterator[str]:
    """Enter the user with the role in the services' project as an administrator; one line for each thing.

    The password of a new user is drawn here and written to the file `credentials`, a part of the configuration, and
    nowhere else. Raises CloudError, NotFound without that project, KarborError where the file cannot be written.
    """
    projects = cloud.get("identity", "/projects", params={"name": project})["projects"]
    if not projects:
        raise NotFound(f"cloud {cloud.name!r} has no project {project!r} for services; make it, or name another")
    role, said = _role(cloud)
    yield said
    users = cloud.get("identity", "/users", params={"name": name, "domain_id": projects[0]["domain_id"]})["users"]
    password = secrets.token_urlsafe(32)
    facts: dict[str, Any] = {"name": name, "password": password}
    draft = _draft(credentials, cloud, facts, project) if new_password or not users else None
    if not users:
        body = {**facts, "domain_id": projects[0]["domain_id"], "description": "Karbor, which protects applications"}
        user = cloud.post("identity", "/users", {"user": body})["user"]
        yield f"user {name}: entered"
    else:
        user = users[0]
        if new_password:
            cloud.patch("identity", f"/users/{user['id']}", {"user": {"password": password}})
        yield f"user {name}: is there{', with a new password' if new_password else ''}"
    if draft is not None:
        draft.replace(credentials)
        yield f"{credentials}: written; it has the password"
    grants = f"/projects/{projects[0]['id']}/users/{user['id']}/roles"
    if any(one["id"] == role for one in cloud.get("identity", grants)["roles"]):
        yield f"role {ROLE} in project {project}: is there"
    else:
        cloud.put("identity", f"{grants}/{role}")
        yield f"role {ROLE} in project {project}: given"


def _role(cloud: Cloud) -> tuple[str, str]:
    """The id of the role, which is made where it is not there, and what was done."""
    found = cloud.get("identity", "/roles", params={"name": ROLE})["roles"]
    if found:
        return str(found[0]["id"]), f"role {ROLE}: is there"
    made = cloud.post("identity", "/roles", {"role": {"name": ROLE}})["role"]
    return str(made["id"]), f"role {ROLE}: made"


def _draft(file: Path, cloud: Cloud, user: Mapping[str, Any], project: str) -> Path:
    """Write beside the file what it is going to say, before anything is changed: it must not fail afterwards."""
    lines = [
        "# Written by karbor-manage register: how the service logs in.",
        "[keystone_authtoken]",
        "auth_type = password",
        f"auth_url = {cloud.auth_url}",
        f"www_authenticate_uri = {cloud.auth_url}",
        f"username = {user['name']}",
        f"password = {user['password']}",
        f"project_name = {project}",
        "user_domain_name = Default",
        "project_domain_name = Default",
        f"region_name = {cloud.region}",
        "service_type = data-protect",
    ]
    draft = file.with_name(f"{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write("\n".join(lines) + "\n")
    except OSError as error:
        raise KarborError(f"{file} cannot be written: {error}; name another with --credentials") from error
    return draft
