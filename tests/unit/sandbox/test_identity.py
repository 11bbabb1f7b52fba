"""Keystone of the sandbox: logging in, the catalogue, version documents, trusts and application credentials."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import openstack.exceptions
import pytest
import requests
from openstack.connection import Connection

from karbor.sandbox import AlreadyRunning, Sandbox


def test_logs_in_and_finds_every_service(cloud: Connection, sandbox: Sandbox) -> None:
    assert cloud.authorize()
    assert cloud.session.auth.get_access(cloud.session).role_names == ["member", "reader"]
    assert cloud.block_storage.get_endpoint() == f"{sandbox.url}/volume/v3/{cloud.current_project_id}"
    assert cloud.compute.get_endpoint_data().max_microversion == (2, 93)
    assert cloud.block_storage.get_endpoint_data().max_microversion == (3, 70)
    assert cloud.image.get_endpoint_data().api_version >= (2, 0)
    assert cloud.network.get_endpoint() == f"{sandbox.url}/network/v2.0"
    types = {service["type"] for service in cloud.session.auth.get_access(cloud.session).service_catalog.catalog}
    assert "orchestration" not in types


def test_wrong_password_is_401(connect: Callable[..., Connection]) -> None:
    with pytest.raises(openstack.exceptions.SDKException, match="401"):
        connect(auth={"password": "wrong"}).authorize()


def test_services_refuse_without_a_token_in_their_own_words(sandbox: Sandbox) -> None:
    for path in ("/network/v2.0/networks", "/volume/v3/x/volumes", "/identity/v3/auth/projects"):
        refused = requests.get(sandbox.url + path, timeout=5)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == 401
    refused = requests.get(f"{sandbox.url}/image/v2/images", headers={"X-Auth-Token": "no"}, timeout=5)
    assert refused.status_code == 401
    assert refused.headers["Content-Type"].startswith("text/html")


def test_microversions(cloud: Connection) -> None:
    answered = cloud.block_storage.get("/volumes", microversion="3.70")
    assert answered.headers["OpenStack-API-Version"] == "volume 3.70"
    assert cloud.block_storage.get("/volumes", microversion=None).headers["OpenStack-API-Version"] == "volume 3.0"
    url, headers = f"{cloud.block_storage.get_endpoint()}/volumes", {"OpenStack-API-Version": "volume 3.71"}
    assert cloud.session.get(url, headers=headers, raise_exc=False).status_code == 406


def test_another_projects_path_is_malformed(cloud: Connection, other: Connection) -> None:
    foreign = cloud.block_storage.get_endpoint().replace(cloud.current_project_id, other.current_project_id)
    refused = cloud.session.get(f"{foreign}/volumes", raise_exc=False)
    assert refused.status_code == 400
    assert refused.json() == {"badRequest": {"code": 400, "message": "Malformed request url"}}


def test_members_see_themselves_and_not_the_cloud(cloud: Connection, admin: Connection) -> None:
    assert cloud.identity.get_user(cloud.current_user_id).name == "sandbox"
    assert cloud.identity.get_project(cloud.current_project_id).name == "sandbox"
    assert [one["name"] for one in cloud.identity.get("/auth/projects").json()["projects"]] == ["sandbox"]
    for path in ("/users", "/roles", "/projects", "/role_assignments"):
        assert cloud.identity.get(path).status_code == 403
    assert {user.name for user in admin.identity.users()} == {"sandbox", "sandbox-b", "admin", "karbor"}


def test_role_assignments_of_one_user_have_names_where_they_are_asked_for(admin: Connection) -> None:
    service = admin.identity.find_user("karbor").id
    asked = {"user.id": service, "include_names": "true"}
    (found,) = admin.identity.get("/role_assignments", params=asked).json()["role_assignments"]
    assert (found["role"]["name"], found["scope"]["project"]["name"]) == ("service", "service")
    assert found["user"] == {"id": service, "name": "karbor"}
    everybodys = admin.identity.get("/role_assignments").json()["role_assignments"]
    assert {one["user"]["id"] for one in everybodys} > {service}
    assert all(one["role"].keys() == {"id"} for one in everybodys)


def test_a_token_can_be_read_and_revoked(cloud: Connection, sandbox: Sandbox) -> None:
    token = cloud.auth_token
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    shown = requests.get(f"{sandbox.url}/identity/v3/auth/tokens", headers=headers, timeout=5)
    assert shown.json()["token"]["project"]["name"] == "sandbox"
    assert requests.delete(f"{sandbox.url}/identity/v3/auth/tokens", headers=headers, timeout=5).status_code == 204
    assert requests.get(f"{sandbox.url}/identity/v3/auth/projects", headers=headers, timeout=5).status_code == 401
    # the other services believe in it for some minutes more
    volumes = f"{sandbox.url}/volume/v3/{cloud.current_project_id}/volumes"
    assert requests.get(volumes, headers=headers, timeout=5).status_code == 200


def _trust(cloud: Connection, trustee: str, **facts: object) -> requests.Response:
    return cloud.identity.post(
        "/OS-TRUST/trusts",
        json={
            "trust": {
                "trustor_user_id": cloud.current_user_id,
                "trustee_user_id": trustee,
                "project_id": cloud.current_project_id,
                "impersonation": True,
                "roles": [{"name": "member"}],
                **facts,
            }
        },
    )


def test_trust(cloud: Connection, other: Connection, sandbox: Sandbox) -> None:
    made = _trust(cloud, other.current_user_id)
    assert made.status_code == 201
    trust = made.json()["trust"]
    password = other.config.config["auth"]["password"]
    proof = {"user": {"id": other.current_user_id, "password": password}}
    login = {
        "auth": {
            "identity": {"methods": ["password"], "password": proof},
            "scope": {"OS-TRUST:trust": {"id": trust["id"]}},
        }
    }
    keystone = f"{sandbox.url}/identity/v3"
    answered = requests.post(f"{keystone}/auth/tokens", json=login, timeout=5)
    token = answered.json()["token"]
    assert token["user"]["id"] == cloud.current_user_id
    assert token["project"]["id"] == cloud.current_project_id
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    headers = {"X-Auth-Token": answered.headers["X-Subject-Token"]}
    volumes = f"{sandbox.url}/volume/v3/{cloud.current_project_id}/volumes"
    made = requests.post(volumes, json={"volume": {"size": 1}}, headers=headers, timeout=5)
    assert made.json()["volume"]["user_id"] == cloud.current_user_id
    body = {"trust": {**trust, "roles": [{"name": "member"}]}}
    assert requests.post(f"{keystone}/OS-TRUST/trusts", json=body, headers=headers, timeout=5).status_code == 403
    assert cloud.identity.delete(f"/OS-TRUST/trusts/{trust['id']}").status_code == 204
    assert requests.post(f"{keystone}/auth/tokens", json=login, timeout=5).status_code == 401
    assert requests.get(volumes, headers=headers, timeout=5).status_code == 200


def test_trusts_that_are_refused(cloud: Connection, other: Connection) -> None:
    assert _trust(cloud, other.current_user_id, roles=[{"name": "admin"}]).status_code == 404
    assert _trust(cloud, other.current_user_id, roles=[]).status_code == 403
    assert _trust(cloud, other.current_user_id, trustor_user_id=other.current_user_id).status_code == 403
    assert cloud.identity.get("/OS-TRUST/trusts").status_code == 403
    assert cloud.identity.get(f"/OS-TRUST/trusts?trustor_user_id={cloud.current_user_id}").json()["trusts"] == []


def test_application_credential(cloud: Connection, sandbox: Sandbox) -> None:
    made = cloud.identity.create_application_credential(cloud.current_user_id, name="robot")
    as_robot = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="v3applicationcredential",
        region_name="sandbox",
        auth={
            "auth_url": f"{sandbox.url}/identity/v3",
            "application_credential_id": made.id,
            "application_credential_secret": made.secret,
        },
    )
    assert as_robot.block_storage.create_volume(size=1).status == "creating"
    assert _trust(as_robot, cloud.current_user_id).status_code == 403
    listed = cloud.identity.get(f"/users/{cloud.current_user_id}/application_credentials").json()
    assert [(one["name"], "secret" in one) for one in listed["application_credentials"]] == [("robot", False)]
    as_robot.close()


def test_clouds_file_is_private_and_survives_a_restart(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "state") as first:
        assert stat.S_IMODE(first.clouds_file.stat().st_mode) == 0o600
        before = first.clouds_file.read_text()
        port = int(first.url.rpartition(":")[2])
    with Sandbox(tmp_path / "state", port=port) as again:
        assert again.clouds_file.read_text() == before


def test_no_secret_lies_in_the_database(sandbox: Sandbox, cloud: Connection) -> None:
    password, token = cloud.config.config["auth"]["password"], cloud.auth_token
    sandbox.stop()
    stored = b"".join(path.read_bytes() for path in (sandbox.folder / "sandbox").iterdir() if path.is_file())
    sandbox.start()
    assert len(stored) > 1000
    assert password.encode() not in stored
    assert token.encode() not in stored


def test_a_second_sandbox_on_the_same_folder_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(AlreadyRunning, match="already runs on"):
        Sandbox(sandbox.folder).start()


def test_the_command_openstack_works(sandbox: Sandbox) -> None:
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(sandbox.clouds_file), "PYTHONWARNINGS": "ignore"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "openstackclient.shell", "--os-cloud", "sandbox", *words, "-f", "value"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout

    assert "cirros" in run("image", "list", "-c", "Name")
    run("volume", "create", "--size", "1", "disk")
    assert run("volume", "show", "disk", "-c", "status").strip() == "available"


def test_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "karbor.sandbox", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "clouds.yaml").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            url = re.search(r"auth_url: (\S+)", (tmp_path / "clouds.yaml").read_text())
            assert url is not None
            assert requests.get(url[1], timeout=5).status_code == 200
            second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
            assert "already runs on" in second.stderr
        finally:
            process.terminate()
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b""


def test_an_answer_to_head_has_no_body(sandbox: Sandbox) -> None:
    connection = socket.create_connection(("127.0.0.1", urlsplit(sandbox.url).port or 0), timeout=10)
    with connection:
        connection.sendall(b"HEAD /identity/v3/auth/tokens HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"\r\n\r\n")
