"""Runs an operation for a person: here, with progress and Ctrl-C, or detached in a process of its own."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, NamedTuple

import click
import sqlalchemy as sa

from karbor.cli.progress import Display, display
from karbor.cli.workplace import Workplace
from karbor.model.errors import Fenced, KarborError
from karbor.model.resource import ResourceGraph
from karbor.store import operations

INTERRUPTED = 130
_LOOK_SECONDS = 0.5

Row = Mapping[str, Any]


class Outcome(NamedTuple):
    """An operation's row when its run is over, and whether the person interrupted it."""

    row: Row
    interrupted: bool


def run(workplace: Workplace, id: str, work: Callable[[], Row]) -> Outcome:
    """Do `work`, which runs operation `id`, in this thread, and show how far it is.

    The first Ctrl-C or SIGTERM cancels the operation, the second leaves it as it stands, to be resumed.
    """
    watch = _Watch(workplace.database, id, display(operations.results(workplace.database, id)))
    old = {number: signal.signal(number, watch.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    watch.start()
    try:
        row = work()
    except Fenced as error:
        raise KarborError(str(error)) from error
    finally:
        watch.end()
        for number, handler in old.items():
            signal.signal(number, handler)
    return Outcome(row, watch.interrupted)


def detach(workplace: Workplace, id: str) -> None:
    """Start a process that runs operation `id` and outlives this one; its log is `DIR/log/<id>.log`."""
    folder = workplace.folder / "log"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(folder / f"{id}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    # -P: nothing is imported from the folder that the person happens to be in
    words = [sys.executable, "-P", "-m", "karbor", "operation", "resume", id, "--state", str(workplace.folder)]
    if workplace.choices.verbose:
        words.append("--verbose")
    try:
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
    finally:
        os.close(log)
    click.echo(f"operation {id} goes on by itself; its log is {folder / f'{id}.log'}", err=True)


class _Watch(threading.Thread):
    """Looks at the operation twice a second, for the display; asks for its end when the person does.

    The asking is done here and not in the signal handler, which may interrupt a transaction of its own thread.
    """

    def __init__(self, database: sa.Engine, id: str, shown: Display) -> None:
        super().__init__(name=f"watch-{id[:8]}", daemon=True)
        self.interrupted = False
        self._database = database
        self._id = id
        self._display = shown
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._names: list[str] = []

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the bars hide the cursor
            os._exit(INTERRUPTED)
        self.interrupted = True
        self._words.put("cancel")

    def end(self) -> None:
        self._words.put("end")
        self.join()

    def run(self) -> None:
        try:
            while True:
                try:
                    word = self._words.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    word = ""
                if word == "cancel":
                    operations.cancel(self._database, self._id)
                    self._display.say("cancelling; Ctrl-C once more leaves it as it stands, to be resumed")
                self._look()
                if word == "end":
                    return
        finally:
            self._display.close()

    def _look(self) -> None:
        row = operations.get(self._database, self._id)
        if not self._names and row["graph"] is not None:
            self._names = [str(found) for found in ResourceGraph.from_json(row["graph"]).resources.values()]
        if self._names:
            self._display.show(row, self._names, operations.results(self._database, self._id))
