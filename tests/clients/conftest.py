"""The service as `karbor serve` starts it, an application in its sandbox, and both command lines."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_lines import CLIENTS, CommandLine, KarborCommand, OpenStackCommand

from karbor.cloud.access import find_region
from karbor.cloud.connection import Cloud
from karbor.demo.application import Application, build, ground

SIZE = 64 << 10
PATIENCE = 60.0
PROJECTS = {"karbor": "sandbox", "openstack": "sandbox-b"}


@dataclass
class Served:
    """A running service."""

    folder: Path
    url: str
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service in a process of its own, ended by SIGTERM, which it has to obey well."""
    if not (CLIENTS / "ready").exists():
        pytest.fail("the clients are not installed; run `make venv-clients`")
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-P", "-m", "karbor", "serve", "--state", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"the API is at (\S+);", line)
        assert found is not None, line + process.stderr.read()
        try:
            yield Served(folder, found[1], process)
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
        assert process.wait(PATIENCE) == 0
        assert rest == ""  # no warning, no traceback


@pytest.fixture(params=["karbor", "openstack"])
def words(request: pytest.FixtureRequest) -> str:
    """Which of the two command lines."""
    return str(request.param)


@pytest.fixture
def cloud(served: Served, words: str) -> Cloud:
    """A member's cloud; each of the two has a project of its own, which begins empty."""
    return Cloud.connect(PROJECTS[words], state=served.folder)


@pytest.fixture
def app(cloud: Cloud) -> Application:
    """The demo's application, which the story loses and brings back."""
    return build(cloud, ground(cloud), size=SIZE)


@pytest.fixture
def client(served: Served, words: str) -> CommandLine:
    """The command line in the member's hands."""
    return _client(served, words, PROJECTS[words])


@pytest.fixture
def karbor(served: Served, words: str) -> CommandLine:
    """The older command line in the same hands, for what the other one cannot do."""
    return _client(served, "karbor", PROJECTS[words])


@pytest.fixture
def admin(served: Served, words: str) -> CommandLine:
    """The command line in an administrator's hands."""
    return _client(served, words, "sandbox-admin")


def _client(served: Served, words: str, name: str) -> CommandLine:
    if words == "karbor":
        return KarborCommand({**_plain_environment(), **_login(served, name)})
    return OpenStackCommand({**_plain_environment(), **_clouds(served, name)})


def _plain_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "KARBOR", "PYTHON"))}
    return {**kept, "PYTHONWARNINGS": "ignore"}


def _clouds(served: Served, name: str) -> dict[str, str]:
    return {"OS_CLOUD": name, "OS_CLIENT_CONFIG_FILE": str(served.folder / "clouds.yaml")}


def _login(served: Served, name: str) -> dict[str, str]:
    """What the older client wants, which does not know clouds.yaml."""
    region = find_region(name, served.folder)
    auth = region.config["auth"]
    return {f"OS_{key.upper()}": str(value) for key, value in auth.items()} | {
        "OS_REGION_NAME": str(region.region_name),
        "OS_IDENTITY_API_VERSION": "3",
    }
