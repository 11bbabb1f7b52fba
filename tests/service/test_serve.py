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
from doc_text import commands, read
from processes import PATIENCE, running, unused_port

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK
from karbor.providers import OS_INFRA
from karbor.sandbox import Sandbox, is_running
from karbor.testing.databases import state_address

SECRET = re.compile(r"password: (\w+)")


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
    port = unused_port()
    main, credentials = tmp_path / "karbor.conf", tmp_path / "keystone.conf"
    main.write_text(
        f"[DEFAULT]\nstate_path = {tmp_path}\nprovider_config_dir = {tmp_path}/providers.d\n"
        f"secret_key_file = {tmp_path}/secret.key\nosapi_karbor_listen_port = {port}\n"
        f"[database]\nconnection = {state_address(tmp_path)}\n"
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


@contextmanager
def served_by_gunicorn(port: int, files: tuple[Path, ...], log: Path) -> Iterator[None]:
    """The command of the guide, on another port; it has to end well and without complaints."""
    (words,) = (words for words in commands(read("docs/installation.md")) if words[0] == "gunicorn")
    line = [word.replace("8799", str(port)) for word in words[1:]]
    environment = {**os.environ, "KARBOR_CONFIG_FILES": ":".join(map(str, files))}
    program = Path(sys.executable).with_name("gunicorn")
    with log.open("w") as said, subprocess.Popen([program, *line], stderr=said, env=environment) as process:
        try:
            deadline = clock.monotonic() + PATIENCE
            while not is_listening(port):
                assert process.poll() is None and clock.monotonic() < deadline, log.read_text()
                clock.sleep(0.05)
            yield
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0
    assert not re.search(r"ERROR|CRITICAL|WARNING|Traceback", log.read_text()), log.read_text()


def is_listening(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def test_gunicorn_serves_the_application_in_many_processes(tmp_path: Path, production: tuple[Path, ...]) -> None:
    url = Member(tmp_path).url().partition("/v1")[0]
    files = [word for file in production for word in ("--config-file", str(file))]
    engine = str(Path(sys.executable).with_name("karbor-engine"))
    with served_by_gunicorn(int(url.rpartition(":")[2]), production, tmp_path / "gunicorn.log"):
        assert requests.get(f"{url}/healthcheck", timeout=PATIENCE).status_code == 200
        assert requests.get(f"{url}/v1/x/plans", timeout=PATIENCE).status_code == 401
        with running(engine, *files, until="looks for work"):
            protect(Member(tmp_path))


def test_a_program_without_its_configuration_says_so(tmp_path: Path) -> None:
    file = tmp_path / "karbor.conf"
    file.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\n[database]\nconnection = sqlite:///{tmp_path}/karbor.db\n")
    for program in ("karbor-api", "karbor-engine"):
        command = [str(Path(sys.executable).with_name(program)), "--config-file", str(file)]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert "karbor-manage db sync" in refused.stderr
