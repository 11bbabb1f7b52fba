"""Keystone of the sandbox, as administrators and services use it: the catalogue, users, roles, validating tokens."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from karbor.sandbox import Sandbox


@pytest.fixture
def service(connect: Callable[..., Connection]) -> Connection:
    """Karbor's own user."""
    return connect("sandbox-service")


@pytest.fixture
def entered(admin: Connection) -> Iterator[dict[str, Any]]:
    """A service with one endpoint."""
    made = admin.identity.post("/services", json={"service": {"type": "data-protect", "name": "karbor"}})
    assert made.status_code == 201
    service = made.json()["service"]
    facts = {"service_id": service["id"], "interface": "public", "url": "http://127.0.0.1:8799/v1/$(project_id)s"}
    made = admin.identity.post("/endpoints", json={"endpoint": {**facts, "region_id": "sandbox"}})
    assert made.status_code == 201
    return {"service": service, "endpoint": made.json()["endpoint"]}


def _address(connect: Callable[..., Connection]) -> str | None:
    """Where a new token's catalogue says that the service is."""
    cloud = connect()
    catalogue = cloud.session.auth.get_access(cloud.session).service_catalog.catalog
    urls = [one["url"] for service in catalogue if service["type"] == "data-protect" for one in service["endpoints"]]
    return urls[0] if urls else None


def _validate(as_whom: Connection, token: str, url: str) -> requests.Response:
    headers = {"X-Auth-Token": as_whom.auth_token, "X-Subject-Token": token}
    return requests.get(f"{url}/identity/v3/auth/tokens", headers=headers, timeout=5)


def test_a_service_may_validate_tokens_and_a_member_may_not(
    service: Connection, cloud: Connection, other: Connection, admin: Connection, sandbox: Sandbox
) -> None:
    for validator in (service, admin, cloud):
        shown = _validate(validator, cloud.auth_token, sandbox.url)
        assert shown.status_code == 200
        assert shown.json()["token"]["user"]["name"] == "sandbox"
    assert _validate(other, cloud.auth_token, sandbox.url).status_code == 403
    assert _validate(service, "nonsense", sandbox.url).status_code == 404


def test_the_service_user_has_nothing_but_its_role(service: Connection) -> None:
    access = service.session.auth.get_access(service.session)
    assert (access.username, access.project_name, access.role_names) == ("karbor", "service", ["service"])
    assert [one["name"] for one in service.identity.get("/auth/projects").json()["projects"]] == ["service"]
    assert service.identity.get("/users").status_code == 403


def test_its_password_is_its_own_and_stays(tmp_path: Path) -> None:
    def passwords(sandbox: Sandbox) -> list[str]:
        return [line.split()[1] for line in sandbox.clouds_file.read_text().splitlines() if " password: " in line]

    with Sandbox(tmp_path / "state") as first:
        before = passwords(first)
    assert len(set(before)) == 2
    assert before.count(before[-1]) == 1
    with Sandbox(tmp_path / "state") as again:
        assert passwords(again) == before
    with Sandbox(tmp_path / "another") as another:
        assert not set(passwords(another)) & set(before)


def test_a_folder_of_before_there_was_a_service_user_gets_one(
    sandbox: Sandbox, connect: Callable[..., Connection]
) -> None:
    before = connect().current_project_id
    sandbox.stop()
    with sqlite3.connect(sandbox.folder / "sandbox" / "state.db") as database:
        for kind, name in (("user", "karbor"), ("project", "service"), ("role", "service")):
            database.execute("DELETE FROM object WHERE kind = ? AND json_extract(body, '$.name') = ?", (kind, name))
    database.close()
    text = sandbox.clouds_file.read_text()
    sandbox.clouds_file.write_text(text[: text.index("  sandbox-service:")])
    sandbox.start()
    assert connect().current_project_id == before
    assert connect("sandbox-service").session.auth.get_access(connect("sandbox-service").session).role_names == [
        "service"
    ]


def test_what_is_entered_shows_in_later_tokens(
    entered: dict[str, Any], connect: Callable[..., Connection], admin: Connection
) -> None:
    project = connect().current_project_id
    assert _address(connect) == f"http://127.0.0.1:8799/v1/{project}"
    endpoint, service = entered["endpoint"]["id"], entered["service"]["id"]
    moved = {"endpoint": {"url": "http://127.0.0.1:9/v1/%(tenant_id)s"}}
    assert admin.identity.patch(f"/endpoints/{endpoint}", json=moved).status_code == 200
    assert _address(connect) == f"http://127.0.0.1:9/v1/{project}"
    assert admin.identity.patch(f"/services/{service}", json={"service": {"enabled": False}}).status_code == 200
    assert _address(connect) is None
    assert admin.identity.delete(f"/services/{service}").status_code == 204
    assert admin.identity.delete(f"/services/{service}").status_code == 404
    assert admin.identity.delete(f"/endpoints/{endpoint}").status_code == 404


def test_it_is_there_after_a_restart(
    entered: dict[str, Any], sandbox: Sandbox, connect: Callable[..., Connection]
) -> None:
    sandbox.stop()
    sandbox.start()
    assert _address(connect) == f"http://127.0.0.1:8799/v1/{connect().current_project_id}"


def test_lists_with_filters(entered: dict[str, Any], admin: Connection) -> None:
    services = admin.identity.get("/services").json()["services"]
    assert {"identity", "compute", "data-protect"} <= {one["type"] for one in services}
    (found,) = admin.identity.get("/services?type=data-protect&name=karbor").json()["services"]
    assert found["id"] == entered["service"]["id"]
    assert admin.identity.get("/services?type=data-protect&name=other").json()["services"] == []
    (found,) = admin.identity.get(f"/endpoints?service_id={found['id']}&interface=public").json()["endpoints"]
    assert found == entered["endpoint"]
    assert admin.identity.get("/endpoints?service_id=none").json()["endpoints"] == []
    assert len(admin.identity.get("/endpoints?service_id=compute-service").json()["endpoints"]) == 3


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/services", {"service": {"name": "x"}}, "'type' is a required property"),
        ("/services", {}, "Expecting to find service"),
        ("/endpoints", {"endpoint": {"service_id": "x", "interface": "bad", "url": "http://x"}}, "is not one of"),
        ("/endpoints", {"endpoint": {"service_id": "x", "interface": "admin", "url": "http://x"}}, "service table"),
        (
            "/endpoints",
            {"endpoint": {"service_id": "compute-service", "interface": "admin", "url": "u", "region_id": "other"}},
            "region table",
        ),
        ("/users", {"user": {"password": "x"}}, "'name' is a required property"),
        ("/roles", {"role": {}}, "'name' is a required property"),
    ],
)
def test_nonsense_is_refused(admin: Connection, path: str, body: dict[str, Any], words: str) -> None:
    refused = admin.identity.post(path, json=body)
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]


def test_members_may_none_of_it(cloud: Connection, entered: dict[str, Any]) -> None:
    for path, body in (
        ("/services", {"service": {"type": "x"}}),
        ("/endpoints", {"endpoint": {"service_id": "x", "interface": "public", "url": "x"}}),
        ("/users", {"user": {"name": "x"}}),
        ("/roles", {"role": {"name": "x"}}),
    ):
        assert cloud.identity.post(path, json=body).status_code == 403
    for path in ("/services", "/endpoints", "/users"):
        assert cloud.identity.get(path).status_code == 403
    for path in (f"/services/{entered['service']['id']}", f"/endpoints/{entered['endpoint']['id']}"):
        assert cloud.identity.delete(path).status_code == 403
    assert cloud.identity.delete(f"/users/{cloud.current_user_id}").status_code == 403


def test_what_the_sandbox_stands_on_stays(admin: Connection) -> None:
    assert admin.identity.delete("/services/compute-service").status_code == 403
    assert admin.identity.delete("/endpoints/identity-public").status_code == 403


def test_a_user_with_a_role(admin: Connection, sandbox: Sandbox, connect: Callable[..., Connection]) -> None:
    made = admin.identity.post("/users", json={"user": {"name": "robot", "password": "abc"}})
    assert made.status_code == 201
    robot = made.json()["user"]
    assert "password" not in robot
    assert admin.identity.post("/users", json={"user": {"name": "robot"}}).status_code == 409
    login = {"auth": {"username": "robot", "password": "abc"}}
    project = admin.identity.get("/projects?name=service").json()["projects"][0]["id"]
    role = admin.identity.get("/roles?name=service").json()["roles"][0]["id"]
    grant = f"/projects/{project}/users/{robot['id']}/roles"
    assert admin.identity.head(f"{grant}/{role}").status_code == 404
    assert admin.identity.put(f"{grant}/{role}").status_code == 204
    assert admin.identity.put(f"{grant}/{role}").status_code == 204
    assert [one["name"] for one in admin.identity.get(grant).json()["roles"]] == ["service"]
    assert admin.identity.put(f"{grant}/none").status_code == 404
    assert admin.identity.put(f"/projects/none/users/{robot['id']}/roles/{role}").status_code == 404

    as_robot = connect("sandbox-service", **login)
    assert as_robot.session.auth.get_access(as_robot.session).role_names == ["service"]
    assert admin.identity.patch(f"/users/{robot['id']}", json={"user": {"password": "xyz"}}).status_code == 200
    sandbox.stop()
    sandbox.start()  # which gives its own users their passwords, and nobody else
    again = connect("sandbox-service", auth={"username": "robot", "password": "xyz"})
    assert again.current_user_id == robot["id"]

    admin = connect("sandbox-admin")
    assert admin.identity.delete(f"{grant}/{role}").status_code == 204
    assert admin.identity.delete(f"{grant}/{role}").status_code == 404
    assert admin.identity.delete(f"/users/{robot['id']}").status_code == 204
    assert admin.identity.get(f"/users/{robot['id']}").status_code == 404
    assert admin.identity.post("/roles", json={"role": {"name": "service"}}).status_code == 409
    assert admin.identity.post("/roles", json={"role": {"name": "auditor"}}).status_code == 201
