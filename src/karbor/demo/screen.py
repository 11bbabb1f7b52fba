"""What the demo shows on the terminal: its steps, the commands that it runs, and the tables of the comparison."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from karbor.demo.compare import DIFFERENT, MAPPED, NEW, SAME, Row

COLOURS = {SAME: "", MAPPED: "cyan", NEW: "yellow", DIFFERENT: "bold red"}
WIDTH_OF_FILE = 200
"""Columns where the output goes to a file or pipe."""
EMPTY: tuple[Any, ...] = (None, "", [], {})
"""Values that say that an attribute is not set; where it is on neither side, its row is only counted."""


class Screen:
    """Standard output, in the order in which things happen."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, width=WIDTH_OF_FILE)
        self._step = 0

    def step(self, title: str, seconds: float) -> None:
        """The heading of the next part of the story, and how many seconds it has taken so far."""
        self._step += 1
        self.say(f"\n{self._step}. {title}  [{seconds:.1f} s]", "bold")

    def say(self, text: str, style: str = "") -> None:
        """A line of text."""
        self._console.print(Text(text, style=style), soft_wrap=True)
        self._console.file.flush()

    def command(self, words: Sequence[str]) -> None:
        """A command line, as a person would have typed it."""
        self.say(f"$ {shlex.join(words)}", "bold green")

    def attributes(self, rows: Iterable[Row]) -> None:
        """The comparison, resource by resource, attribute by attribute."""
        table = _table({"resource and attribute": 4, "before": 5, "after": 5, "outcome": 4})
        for (role, kind), group in groupby(rows, key=lambda row: (row.role, row.kind)):
            table.add_row(Text(f"{kind} {role}", style="bold"))
            for row in group:
                if row.outcome != SAME or row.before not in EMPTY:
                    cells = (f"  {row.attribute or '(all of it)'}", _line(row.before), _line(row.after))
                    table.add_row(*(Text(cell) for cell in cells), _outcome(row))
            table.add_section()
        self._console.print(table)

    def hashes(self, rows: Iterable[Row]) -> None:
        """The comparison of the bytes."""
        table = _table({"bytes of": 3, "sha256 before": 7, "sha256 after": 7, "outcome": 3}, cut=False)
        for row in rows:
            table.add_row(Text(row.role), Text(_line(row.before)), Text(_line(row.after)), _outcome(row))
        self._console.print(table)

    def totals(self, rows: Iterable[Row]) -> None:
        """How many attributes had each outcome."""
        counts = Counter(row.outcome for row in rows)
        self.say(", ".join(f"{counts[outcome]} {outcome}" for outcome in COLOURS))


def _table(columns: Mapping[str, int], *, cut: bool = True) -> Table:
    """As wide as the terminal, with each column's share of that; values that are too long are cut, or else folded."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=True)
    for column, share in columns.items():
        is_cut = cut and column in ("before", "after")
        table.add_column(column, ratio=share, no_wrap=is_cut, overflow="ellipsis" if is_cut else "fold")
    return table


def _outcome(row: Row) -> Text:
    return Text(": ".join(filter(None, (row.outcome, row.reason))), style=COLOURS[row.outcome])


def _line(value: Any) -> str:
    """A value on one line; nothing for what is not there."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)
