"""Both command lines of python-karborclient: what a person types, and what is read off the screen."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from karbor import clock
from karbor.cloud.access import find_region

CLIENTS = Path(__file__).parents[2] / ".venv-clients"
SECONDS = 300.0
"""For one command, and for what is waited for; a machine may be slow."""
POLL = 1.0
"""Seconds between two looks, each of which is a command that takes as long itself."""

Row = dict[str, Any]


class CommandLine:
    """One of the two, with the login that its environment says.

    A command is named by its words, such as "plan create". The keys of what it shows are in lower case.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    def line(self, command: str, *words: str) -> list[str]:
        """The command line."""
        raise NotImplementedError

    def show(self, command: str, *words: str) -> Row:
        """Run a command that shows one thing."""
        raise NotImplementedError

    def list(self, command: str, *words: str) -> list[Row]:
        """Run a command that lists things."""
        raise NotImplementedError

    def run(self, command: str, *words: str) -> str:
        """Run a command that has to go well; what it prints."""
        done = self.attempt(command, *words)
        assert done.returncode == 0, (command, words, done.stdout, done.stderr)
        return done.stdout

    def attempt(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        return subprocess.run(
            self.line(command, *words), env=self._environment, capture_output=True, text=True, timeout=SECONDS
        )

    def until(self, done: Callable[[Row], bool], command: str, *words: str) -> Row:
        """Show a thing until it is as it should be."""
        deadline = clock.monotonic() + SECONDS
        while not done(row := self.show(command, *words)):
            assert clock.monotonic() < deadline, row
            clock.sleep(POLL)
        return row


class OpenStackCommand(CommandLine):
    """`openstack data protection`."""

    def line(self, command: str, *words: str) -> list[str]:
        return [str(CLIENTS / "bin" / "openstack"), "data", "protection", *command.split(), *words]

    def show(self, command: str, *words: str) -> Row:
        return _lower(json.loads(self.run(command, *words, "-f", "json")))

    def list(self, command: str, *words: str) -> list[Row]:
        return [_lower(row) for row in json.loads(self.run(command, *words, "-f", "json"))]


class KarborCommand(CommandLine):
    """`karbor` of python-karborclient, which prints tables only and has names of its own for some commands."""

    NAMES: ClassVar[Mapping[str, str]] = {
        "protectable instance list": "protectable-list-instances",
        "protectable instance show": "protectable-show-instance",
        "quotas show": "quota-show",
    }

    def line(self, command: str, *words: str) -> list[str]:
        name = self.NAMES.get(command, command.replace(" ", "-"))
        return [str(CLIENTS / "bin" / "karbor"), name, *words]

    def show(self, command: str, *words: str) -> Row:
        return properties(self.run(command, *words))

    def list(self, command: str, *words: str) -> list[Row]:
        head, *rows = _cells(self.run(command, *words))
        return [_lower(dict(zip(head, row, strict=True))) for row in rows if row[0]]  # a row may go on below itself


def in_hands(words: str, name: str, state: Path | None = None) -> CommandLine:
    """The command line `karbor` or `openstack`, logged in to a cloud of `state`/clouds.yaml or of the usual ones."""
    if not (CLIENTS / "ready").exists():
        raise AssertionError("the clients are not installed; run `make venv-clients`")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "KARBOR", "PYTHON"))}
    plain = {**kept, "PYTHONWARNINGS": "ignore"}
    if words == "karbor":
        return KarborCommand({**plain, **_login(name, state)})
    file = os.environ.get("OS_CLIENT_CONFIG_FILE") if state is None else str(state / "clouds.yaml")
    return OpenStackCommand({**plain, "OS_CLOUD": name, **({"OS_CLIENT_CONFIG_FILE": file} if file else {})})


def _login(name: str, state: Path | None) -> dict[str, str]:
    """What the older client wants, which does not know clouds.yaml."""
    region = find_region(name, state)
    auth = {f"OS_{key.upper()}": str(value) for key, value in region.config["auth"].items()}
    return {**auth, "OS_REGION_NAME": str(region.region_name), "OS_IDENTITY_API_VERSION": "3"}


def properties(table: str) -> Row:
    """What a table of properties says; a value may go on over several lines."""
    found: dict[str, str] = {}
    name = ""
    for key, value in _cells(table)[1:]:
        name = key or name
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def _cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _lower(row: Mapping[str, Any]) -> Row:
    return {name.lower().replace(" ", "_"): value for name, value in row.items()}
