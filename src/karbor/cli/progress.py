"""Shows on standard error how far an operation is: bars on a terminal, else a line for each resource that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import click
from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from karbor.cli.tables import plain

MOST_BARS = 12
"""Resources that get a bar of their own at the same time."""
HEADINGS = {
    "protect": "protecting", "restore": "restoring", "verify": "verifying", "delete": "deleting", "copy": "copying",
}  # fmt: skip

Row = Mapping[str, Any]


class Display(Protocol):
    """Somewhere to show progress."""

    def show(self, operation: Row, names: list[str], results: Mapping[int, Row]) -> None:
        """How far it is now: the operation's row, the titles of its resources, the results by position."""

    def say(self, text: str) -> None:
        """A line for the person who waits."""

    def close(self) -> None:
        """Nothing more comes."""


def display(before: Mapping[int, Row]) -> Display:
    """The display that fits where standard error goes; `before` are the results of an earlier run."""
    console = Console(stderr=True)
    moves = console.is_terminal and not console.is_dumb_terminal  # on a dumb one bars would not be seen at all
    return Bars(console) if moves else Lines(before)


class Lines:
    """A line for each resource when it has ended, and for each change of direction."""

    def __init__(self, before: Mapping[int, Row]) -> None:
        self._before = {node: result["status"] for node, result in before.items()}
        self._told: set[int] = set()
        self._back = False

    def show(self, operation: Row, names: list[str], results: Mapping[int, Row]) -> None:
        if operation["phase"] == "rollback" and not self._back:
            self._back = True
            self.say(f"taking back what was done: {operation['error_info']}")
        for node, result in sorted(results.items()):
            status, reason = result["status"], result["reason"]
            if status and status != self._before.get(node) and node not in self._told and not self._back:
                self._told.add(node)
                self.say(f"[{len(self._told)}/{len(names)}] {names[node]} {status}" + (f": {reason}" if reason else ""))

    def say(self, text: str) -> None:
        click.echo(plain(text), err=True)

    def close(self) -> None:
        """Lines need no end."""


class Amount(ProgressColumn):
    """How much is done of how much, and how fast."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        if task.fields["unit"] != "bytes":
            return Text(f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}")
        done, total = filesize.decimal(int(task.completed)), filesize.decimal(int(task.total))
        rate = f" {filesize.decimal(int(task.speed))}/s" if task.speed else ""
        return Text(f"{done}/{total}{rate}")


class Bars:
    """One bar for the resources that have ended, and one for each that moves bytes at the moment."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), Amount(), TimeRemainingColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self._all = self._progress.add_task("starting", total=None, unit="resources")
        self._bars: dict[int, TaskID] = {}
        self._progress.start()

    def show(self, operation: Row, names: list[str], results: Mapping[int, Row]) -> None:
        back = operation["phase"] == "rollback"
        heading = "taking back" if back else HEADINGS[operation["operation_type"]]
        ended = sum(1 for result in results.values() if result["status"])
        self._progress.update(self._all, description=heading, completed=ended, total=len(names) or None)
        for node, result in results.items():
            if result["total"] and not result["status"] and not back:
                self._move(node, names[node], result)
            elif node in self._bars:
                self._progress.remove_task(self._bars.pop(node))

    def _move(self, node: int, name: str, result: Row) -> None:
        if node not in self._bars and len(self._bars) < MOST_BARS:
            self._bars[node] = self._progress.add_task(plain(name), total=result["total"], unit=result["unit"])
        if node in self._bars:
            self._progress.update(self._bars[node], completed=result["done"], total=result["total"])

    def say(self, text: str) -> None:
        self._progress.console.print(plain(text), markup=False, highlight=False)

    def close(self) -> None:
        self._progress.stop()
