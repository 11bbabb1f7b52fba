"""Where commands are killed: a sandbox in a process of its own, the demo's application, real `karbor` processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from karbor import clock
from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.servers import SERVER
from karbor.demo.application import Application, build, ground
from karbor.demo.sandbox_process import sandbox
from karbor.engine.worker import Engine
from karbor.providers import OS_INFRA, load_providers
from karbor.store import operations
from karbor.store.database import open_state

SIZE = 256 << 10
"""Random bytes at the beginning of each disk."""
PATIENCE = 120.0
"""Seconds that a command may take."""
BLOCK = 4096
PLACES = {VOLUME.name, IMAGE.name, SERVER.name}
"""Kinds that have bytes; a server has them when it booted from an image."""

Holdings = dict[str, set[str]]


class Ended(NamedTuple):
    """An operation whose command was not killed."""

    id: str
    status: int
    document: Any
    seconds: float
    """From the moment at which the command told the operation's id to the operation's end."""
    messages: str


class Arena:
    """A running sandbox over `folder` with the application; commands are processes, cleaning up is done in this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cloud = Cloud.connect("sandbox", state=folder)
        self.database = open_state(folder)
        providers = load_providers(folder)
        self.archive = providers[OS_INFRA].archive
        self.engine = Engine(self.database, providers)
        self.app: Application = build(self.cloud, ground(self.cloud), size=SIZE)

    def run(self, *words: str) -> Ended:
        """Run a command to its end."""
        with self._started(*words, stdout=subprocess.PIPE) as (process, id):
            told = clock.now()
            out, messages = process.communicate(timeout=PATIENCE)
            ended = operations.get(self.database, id)["ended_at"] or clock.now()
            seconds = clock.seconds_since(told) - clock.seconds_since(ended)
            return Ended(id, process.returncode, json.loads(out), seconds, messages)

    def kill(self, moment: float, *words: str) -> tuple[str, bool]:
        """Start a command and kill it `moment` seconds after it told its operation's id.

        The id, and whether the operation was cut short: the last moments may come too late.
        """
        with self._started(*words, stdout=subprocess.DEVNULL) as (process, id):
            clock.sleep(moment)
            process.kill()
            process.communicate(timeout=PATIENCE)
        cut = operations.get(self.database, id)["phase"] != "ended"
        return id, cut and process.returncode == -signal.SIGKILL

    @contextmanager
    def _started(self, *words: str, stdout: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
        command = [sys.executable, "-P", "-m", "karbor", *words, "--state", str(self.folder), "--format", "json"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OS_CLOUD": "sandbox"},
        )  # fmt: skip
        try:
            assert process.stderr is not None
            yield process, words[2] if words[0] == "operation" else _told(process.stderr)
        finally:
            process.kill()
            process.wait()

    def holdings(self) -> Holdings:
        """The ids of all that the project has, by kind, as the sandbox itself knows them."""
        found = self._ask(f"/sandbox/inventory?project_id={self.cloud.project_id}")
        return {kind: set(ids) for kind, ids in found.items()}

    def creates(self) -> Counter[str]:
        """How many objects of each kind were ever created."""
        return Counter(self._ask("/sandbox/counts")["creates"])

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.cloud.auth_url.removesuffix("/identity/v3") + path, timeout=30) as answer:
            return json.load(answer)

    def digest(self, id: str) -> str:
        """A hash of what the sandbox's file of a volume, backup, image or own disk holds, and where, without holes."""
        seen = hashlib.sha256()
        with (self.folder / "sandbox" / "bytes" / id).open("rb", buffering=0) as file:
            for position in _data(file.fileno()):
                block = os.pread(file.fileno(), BLOCK, position)
                if any(block):
                    seen.update(position.to_bytes(8, "big") + block)
        return seen.hexdigest()

    def digests(self, app: Application) -> dict[str, str]:
        """The hash of every disk of an application, by its role."""
        things = {role: thing.id for role, thing in app.things.items() if thing.kind.name in PLACES}
        return {role: self.digest(id) for role, id in things.items() if role != "db"}  # boots from a volume

    def saved(self, checkpoint_id: str) -> list[Any]:
        """The resources of a finished checkpoint, as its manifest has them."""
        return list(self.archive.read_manifest(self.cloud.project_id, checkpoint_id).resources)


@contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    """An arena in a new state folder."""
    with sandbox(folder):
        yield Arena(folder)


def _told(messages: IO[str]) -> str:
    """The operation's id, as soon as the command has told it."""
    said = []
    for line in messages:
        if line.startswith("operation "):
            return line.split()[1]
        said.append(line)
    raise AssertionError(f"the command began no operation: {''.join(said)}")


def _data(file: int) -> Iterator[int]:
    """The positions of all blocks of a file that are no hole."""
    end, size = 0, os.fstat(file).st_size
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield from range(start - start % BLOCK, end, BLOCK)
