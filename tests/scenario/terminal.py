"""A person at a terminal: types `karbor …` against a sandbox, in this process or, for signals, in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stage import Stage

from karbor import main
from karbor.cloud.blockstorage import VOLUME
from karbor.store import checkpoints, operations


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Terminal(Stage):
    """The state folder of a person, with the cloud `sandbox` as the usual one."""

    capture: Callable[[], Any]
    words: tuple[str, ...]

    def __init__(self, folder: Path, capture: Callable[[], Any], *, delay: float = 0.0) -> None:
        super().__init__(folder, delay=delay)
        self.capture = capture
        self.words = ("--state", str(folder), "--cloud", "sandbox")
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Terminal:
        super().__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        super().__exit__(*exc)

    def run(self, *words: str) -> Ended:
        """Run a command to its end."""
        self.capture()
        status = main.run([*self.words, *words])
        out, err = self.capture()
        return Ended(status, out, err)

    def json(self, *words: str, status: int = 0) -> Any:
        """The one document of a command that has to end with `status`."""
        ended = self.run(*words, "--format", "json")
        assert ended.status == status, ended.err
        return ended.document

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own; returns when its operation has begun."""
        started = subprocess.Popen(
            [sys.executable, "-m", "karbor", *self.words, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._started.append(started)
        assert started.stderr is not None
        for line in started.stderr:
            if line.startswith("operation "):
                break
        self.until(lambda: any(operations.is_running(row) for row in operations.rows(self.database, open_only=True)))
        return started

    def volume(self, name: str = "data") -> str:
        """A new volume of 1 GiB; its id."""
        return self.create(VOLUME, {"name": name, "size": 1})

    def protected(self, *things: str, status: int = 0) -> str:
        """Protect; the checkpoint's id."""
        return str(self.json("protect", *things, status=status)["checkpoint"]["id"])

    def written(self) -> tuple[Any, ...]:
        """Everything that a command could change by what it should not do."""
        bank = sorted(str(path) for path in (self.folder / "bank").rglob("*"))
        rows = [row["id"] for row in operations.rows(self.database)]
        saved = [(row["id"], row["status"]) for row in checkpoints.rows(self.database)]
        return (bank, rows, saved, self.inventory(), sorted(path.name for path in self.folder.glob("log/*")))


def stop(process: subprocess.Popen[str], *signals: int) -> Ended:
    """Send signals and wait for the end."""
    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)
