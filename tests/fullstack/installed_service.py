"""Karbor as docs/installation.md installs it, in a cloud that has none: the guide's file and commands, two processes.

The home folder of the test stands for /etc: programs look for `~/.karbor` before they look for /etc/karbor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from doc_text import blocks, commands, read
from processes import PATIENCE, running, unused_port

from karbor.cloud.connection import Cloud

GUIDE = read("docs/installation.md")
DATABASE = "mysql+pymysql://karbor:PASSWORD@HOST/karbor?charset=utf8mb4"
BUS = "rabbit://karbor:PASSWORD@HOST:5672/"
BIN = Path(sys.executable).parent


class Service(NamedTuple):
    """The service in a Keystone: where its API is, and the user as which it logs in."""

    url: str
    user: str


@contextmanager
def installed(admin: Cloud, folder: Path, name: str, bus: str = "") -> Iterator[Service]:
    """Install the service with its state in `folder` and a user `name`, run it, and take it out of Keystone again.

    It tells what happens on the message bus at the address `bus`, where there is one.
    """
    if _registered(admin):
        pytest.skip(f"cloud {admin.name} has a service data-protect already, which is not ours to change")
    port = unused_port()
    url, home = f"http://127.0.0.1:{port}", folder / "home"
    places = {
        "/etc/karbor": str(home / ".karbor"), "/var/lib/karbor": str(folder), "0.0.0.0": "127.0.0.1", "8799": str(port),
        DATABASE: f"sqlite:///{folder}/karbor.db",
    }  # fmt: skip
    for path in (home / ".karbor" / "karbor.conf.d", home / ".karbor" / "providers.d"):
        path.mkdir(parents=True)
    (text,) = (block for block in blocks(GUIDE, "ini") if "[database]" in block)
    (home / ".karbor" / "karbor.conf").write_text(_put(text, places))
    if bus:
        (text,) = (block for block in blocks(GUIDE, "ini") if "[oslo_messaging_notifications]" in block)
        (home / ".karbor" / "karbor.conf.d" / "bus.conf").write_text(_put(text, {BUS: bus}))
    words = {"admin": admin.name, "https://karbor.example:8799": url}
    credentials = str(home / ".karbor" / "karbor.conf.d" / "keystone.conf")
    register = ("karbor-manage register", words, "--user", name, "--credentials", credentials)
    _follow(home, "karbor-manage db sync", words)
    try:
        _follow(home, *register)
        again = _follow(home, *register).splitlines()
        assert [line for line in again if not line.endswith(": is there")] == []
        _follow(home, "karbor-status", words, status=1)  # SQLite, built-in providers, no key yet: nothing worse
        with ExitStack() as processes:
            for program, ready in (("karbor-api", f"the API is at {url}"), ("karbor-engine", "looks for work")):
                processes.enter_context(running(str(BIN / program), until=ready, may_warn=True, HOME=str(home)))
            _follow(home, "curl", words)
            yield Service(url, name)
    finally:
        _unregister(admin, name)


def roles_of(admin: Cloud, user: str) -> list[tuple[str, str]]:
    """The projects and roles that a user has, by their names."""
    (found,) = admin.get("identity", "/users", params={"name": user})["users"]
    query = {"user.id": found["id"], "include_names": "true", "effective": "true"}
    assignments = admin.get("identity", "/role_assignments", params=query)["role_assignments"]
    return [(one["scope"]["project"]["name"], one["role"]["name"]) for one in assignments]


def _put(text: str, places: dict[str, str]) -> str:
    """The guide's file with the places of this installation; each has to stand in it."""
    for told, ours in places.items():
        assert told in text, told
        text = text.replace(told, ours)
    return text


def _follow(home: Path, beginning: str, words: dict[str, str], *more: str, status: int = 0) -> str:
    """Run the guide's first command that begins so, with `words` in place of its own and `more`; what it prints."""
    told = [found[4:] if found[:1] == ["runuser"] else found for found in commands(GUIDE)]
    line = [*next(found for found in told if " ".join(found).startswith(beginning)), *more]
    for theirs, ours in words.items():
        line = [ours if word == theirs else word.replace(f"{theirs}/", f"{ours}/") for word in line]
    program = str(BIN / line[0]) if line[0].startswith("karbor") else line[0]
    environment = {**os.environ, "HOME": str(home)}
    ended = subprocess.run([program, *line[1:]], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == status, f"{line}: status {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def _registered(admin: Cloud) -> list[str]:
    return [str(one["id"]) for one in admin.get("identity", "/services", params={"type": "data-protect"})["services"]]


def _unregister(admin: Cloud, user: str) -> None:
    """What an administrator does who takes the service out of the cloud; its endpoints go with it."""
    for id in _registered(admin):
        admin.delete("identity", f"/services/{id}")
    for one in admin.get("identity", "/users", params={"name": user})["users"]:
        admin.delete("identity", f"/users/{one['id']}")
