"""The service as `karbor serve` starts it, an application in its sandbox, and both command lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_lines import CommandLine, in_hands
from processes import running

from karbor.cloud.connection import Cloud
from karbor.demo.application import Application, build, ground

SIZE = 64 << 10
PROJECTS = {"karbor": "sandbox", "openstack": "sandbox-b"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state of a service in a process of its own, ended by SIGTERM, which it has to obey well."""
    folder = tmp_path_factory.mktemp("served")
    command = ("-m", "karbor", "serve", "--state", str(folder), "--port", "0")
    with running(*command, until="the API is at "):
        yield folder


@pytest.fixture(params=["karbor", "openstack"])
def words(request: pytest.FixtureRequest) -> str:
    """Which of the two command lines."""
    return str(request.param)


@pytest.fixture
def cloud(served: Path, words: str) -> Cloud:
    """A member's cloud; each of the two has a project of its own, which begins empty."""
    return Cloud.connect(PROJECTS[words], state=served)


@pytest.fixture
def app(cloud: Cloud) -> Application:
    """The demo's application, which the story loses and brings back."""
    return build(cloud, ground(cloud), size=SIZE)


@pytest.fixture
def client(served: Path, words: str) -> CommandLine:
    """The command line in the member's hands."""
    return in_hands(words, PROJECTS[words], served)


@pytest.fixture
def karbor(served: Path, words: str) -> CommandLine:
    """The older command line in the same hands, for what the other one cannot do."""
    return in_hands("karbor", PROJECTS[words], served)


@pytest.fixture
def admin(served: Path, words: str) -> CommandLine:
    """The command line in an administrator's hands."""
    return in_hands(words, "sandbox-admin", served)
