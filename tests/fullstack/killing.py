"""Commands of a person that are killed with SIGKILL on the way and gone on with by `karbor operation resume`."""

from __future__ import annotations

import signal
import subprocess
import sys
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import IO, Any, NamedTuple

import sqlalchemy as sa
from place import PATIENCE, Place

from karbor.store import operations
from karbor.store.database import open_state

MORTAL = Path(__file__).with_name("mortal.py")


class Moment(NamedTuple):
    """When to kill: `seconds` after so many things are on record, or right before one more is."""

    records: int
    seconds: float


class Course:
    """How an operation that nobody disturbed went on: when each of the things was recorded that were, in seconds."""

    def __init__(self, place: Place, id: str) -> None:
        database = open_state(place.folder)
        row = operations.get(database, id)
        began = datetime.fromisoformat(row["started_at"])
        times = [entry["at"] for entry in operations.entries(database, id)]
        times += [hook["ended_at"] for hook in operations.hooks(database, id)]
        self._records = sorted((datetime.fromisoformat(time) - began).total_seconds() for time in times)
        self.seconds = (datetime.fromisoformat(row["ended_at"]) - began).total_seconds()

    def moments(self, random: Random, count: int) -> list[Moment]:
        """So many moments, in order, drawn from the whole length; something is recorded after the last one."""
        drawn = sorted(random.uniform(0, self._records[-2]) for _ in range(count))
        return [self._moment(time, after) for after, time in zip([0.0, *drawn], drawn, strict=False)]

    def _moment(self, time: float, after: float) -> Moment:
        """The moment at `time`, for a run that was killed at the time `after` before."""
        records = bisect(self._records, time)
        return Moment(records, time - max([after, *self._records[:records]]))


class Killing:
    """Runs commands in a place and kills them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._database: sa.Engine = open_state(place.folder)

    def run(self, moments: list[Moment], *words: str) -> Any:
        """Run a command, kill it at each moment and resume it each time, at the end undisturbed; its document."""
        id = ""
        for moment in moments:
            with self._started(moment, *(("operation", "resume", id) if id else words)) as process:
                id = _told(process.stderr)
                _, said = process.communicate(timeout=PATIENCE)
            phase = operations.get(self._database, id)["phase"]
            assert (process.returncode, phase) == (-signal.SIGKILL, "forward"), f"not killed at {moment}: {said}"
        return self._place.karbor("operation", "resume", id)

    @contextmanager
    def _started(self, moment: Moment, *words: str) -> Iterator[subprocess.Popen[str]]:
        place = self._place
        command = [sys.executable, "-P", str(MORTAL), *map(str, moment)]
        options = ["--state", str(place.folder), "--cloud", place.cloud.name, "--format", "json"]
        process = subprocess.Popen(
            [*command, *words, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _told(messages: IO[str] | None) -> str:
    """The operation's id, as soon as the command has told it."""
    said = []
    for line in messages or ():
        if line.startswith("operation "):
            return line.split()[1]
        said.append(line)
    raise AssertionError(f"the command began no operation: {''.join(said)}")
