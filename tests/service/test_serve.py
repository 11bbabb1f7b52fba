"""`karbor serve`, `karbor-api`, `karbor-engine` as processes: they start, are in the catalogue, and end well."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK
from karbor.providers import OS_INFRA
from karbor.sandbox import Sandbox, is_running

PATIENCE = 60.0
SECRET = re.compile(r"password: (\w+)")


@contextmanager
def running(*words: str, until: str, stop: signal.Signals = signal.SIGTERM, **environment: str) -> Iterator[str]:
    """A process that has said that it is ready, which ends well when it is asked to; the line that it said."""
    command = [sys.executable, "-P", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert until in line, line + process.stderr.read()
        try:
            yield line
        finally:
            process.send_signal(stop)
            rest = process.stderr.read()
        assert (process.wait(PATIENCE), rest) == (0, "")


def serve(folder: Path, *words: str, stop: signal.Signals = signal.SIGTERM) -> Any:
    return running("-m", "karbor", "serve", "--state", str(folder), *words, until="the API is at ", stop=stop)


def address(line: str) -> str:
    return re.findall(r"the API is at (http://127\.0\.0\.1:\d+)", line)[0]


class Member:
    """Speaks to the API that the catalogue names."""

    def __init__(self, folder: Path, cloud: str = "sandbox") -> None:
        self.cloud = Cloud.connect(cloud, state=folder)

    def url(self) -> str:
        answer = self.cloud.get("identity", "/auth/catalog")["catalog"]
        (found,) = [one for one in answer if one["type"] == "data-protect"]
        assert len(found["endpoints"]) == 3
        (url,) = {endpoint["url"] for endpoint in found["endpoints"]}
        return str(url)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        token = self.cloud.request("GET", "identity", "/auth/projects").request.headers["X-Auth-Token"]
        answer = requests.request(
            method, self.url() + path, json=body, headers={"X-Auth-Token": token}, timeout=PATIENCE
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


def protect(member: Member, wait: bool = True) -> str:
    """Protect a network by a plan, the way a client does; the checkpoint's id when it is available."""
    network = NETWORK.post(member.cloud, {"name": "front"})
    resource = {"type": "OS::Neutron::Network", "id": network, "name": "front"}
    plan = {"name": "front", "provider_id": OS_INFRA, "resources": [resource], "parameters": {}}
    made = member.ask("POST", "/plans", {"plan": plan})["plan"]
    body = {"checkpoint": {"plan_id": made["id"], "extra-info": None}}
    checkpoint = member.ask("POST", f"/providers/{OS_INFRA}/checkpoints", body)["checkpoint"]["id"]
    deadline = clock.monotonic() + PATIENCE
    while (row := show(member, checkpoint))["status"] == "protecting":
        assert clock.monotonic() < deadline, row
        clock.sleep(0.05)
    assert row["status"] == "available", row
    return str(checkpoint)


def show(member: Member, checkpoint: str) -> Any:
    return member.ask("GET", f"/providers/{OS_INFRA}/checkpoints/{checkpoint}")["checkpoint"]


def test_it_serves_on_the_state_of_the_command_line(tmp_path: Path) -> None:
    with serve(tmp_path, "--port", "0") as line:
        member = Member(tmp_path)
        assert member.url() == f"{address(line)}/v1/{member.cloud.project_id}"
        checkpoint = protect(member)
        assert is_running(tmp_path)
        listed = subprocess.run(
            [sys.executable, "-m", "karbor", "checkpoint", "list", "--state", str(tmp_path), "--all-projects"],
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
        assert checkpoint in listed.stdout
    assert not is_running(tmp_path)  # its own sandbox has gone with it

    with serve(tmp_path, "--port", "0", stop=signal.SIGINT) as again:  # another port, most likely
        member = Member(tmp_path)
        assert member.url().startswith(address(again))
        assert show(member, checkpoint)["status"] == "available"


def test_it_uses_the_sandbox_that_runs_and_leaves_it_running(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        with serve(tmp_path, "--port", "0") as line:
            assert Member(tmp_path).url().startswith(address(line))
        assert is_running(tmp_path)
        port = sandbox.url.rpartition(":")[2]
        with serve(tmp_path, "--port", "0", "--sandbox-port", port):
            pass
        other = ("serve", "--state", str(tmp_path), "--port", "0", "--sandbox-port", str(int(port) - 1))
        refused = subprocess.run(
            [sys.executable, "-m", "karbor", *other], capture_output=True, text=True, timeout=PATIENCE
        )
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "stop it first" in refused.stderr


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "karbor", "serve", "--state", str(tmp_path), "--port", port]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert not is_running(tmp_path)


def test_no_secret_of_the_service_lies_open(tmp_path: Path) -> None:
    with serve(tmp_path, "--port", "0"):
        protect(Member(tmp_path))
        words = [word.encode() for word in SECRET.findall((tmp_path / "clouds.yaml").read_text())]
        assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert len(set(words)) == 2
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "clouds.yaml":
            text = path.read_bytes()
            assert not any(word in text for word in words), path


@pytest.fixture
def production(tmp_path: Path) -> Iterator[tuple[Path, ...]]:
    """Configuration files as an operator writes them, after `karbor-manage register` and `db sync`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    main, credentials = tmp_path / "karbor.conf", tmp_path / "keystone.conf"
    main.write_text(
        f"[DEFAULT]\nstate_path = {tmp_path}\nprovider_config_dir = {tmp_path}/providers.d\n"
        f"secret_key_file = {tmp_path}/secret.key\nosapi_karbor_listen_port = {port}\n"
        f"[database]\nconnection = sqlite:///{tmp_path}/karbor.db\n"
    )
    with Sandbox(tmp_path):
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml")}
        manage = [str(Path(sys.executable).with_name("karbor-manage"))]
        url = f"http://127.0.0.1:{port}"
        for words in (
            ["register", "--os-cloud", "sandbox-admin", "--url", url, "--credentials", str(credentials),
             "--new-password"],
            ["db", "sync", "--config-file", str(main)],
        ):  # fmt: skip
            subprocess.run([*manage, *words], env=environment, check=True, capture_output=True, timeout=PATIENCE)
        yield main, credentials


def test_api_and_engine_from_configuration_files(tmp_path: Path, production: tuple[Path, ...]) -> None:
    files = [word for file in production for word in ("--config-file", str(file))]
    bin = Path(sys.executable).parent
    with ExitStack() as processes:
        line = processes.enter_context(running(str(bin / "karbor-api"), *files, until="the API is at "))
        processes.enter_context(running(str(bin / "karbor-engine"), *files, until="looks for work"))
        member = Member(tmp_path)
        assert member.url().startswith(address(line))
        protect(member)


def test_the_application_for_other_servers(production: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    from karbor import main
    from karbor.serving.http import Server

    monkeypatch.setenv("KARBOR_CONFIG_FILES", ":".join(map(str, production)))
    server = Server(main.wsgi(), "127.0.0.1", 0, 2)
    server.start()
    try:
        assert requests.get(f"{server.url}/healthcheck", timeout=PATIENCE).status_code == 200
        assert requests.get(f"{server.url}/v1/x/plans", timeout=PATIENCE).status_code == 401
    finally:
        server.stop()


def test_a_program_without_its_configuration_says_so(tmp_path: Path) -> None:
    file = tmp_path / "karbor.conf"
    file.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\n[database]\nconnection = sqlite:///{tmp_path}/karbor.db\n")
    for program in ("karbor-api", "karbor-engine"):
        command = [str(Path(sys.executable).with_name(program)), "--config-file", str(file)]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert "karbor-manage db sync" in refused.stderr
