"""Puts documents on standard output: one JSON document for programs, tables for people."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Document = Mapping[str, Any]

GOOD = frozenset({"available", "success", "deleted", "same"})
BAD = frozenset({"error", "fail", "error-deleting", "cannot"})
_UNBOUNDED = 10_000
"""Columns of a file or pipe: nothing is cut there."""


def emit(format: str, document: Document, show: Callable[[], None]) -> None:
    """Write `document` as JSON, or let `show` write it for people."""
    if format == "json":
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        show()


def plain(text: object) -> str:
    """`text` with everything that could steer a terminal made visible; names come from clouds."""
    words = str.__str__(text) if isinstance(text, str) else str(text)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in words)


def line(text: str) -> None:
    """A line of text."""
    _console().print(Text(plain(text)), soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table; empty columns are left out, and so is the whole table where there are no rows."""
    cells = [["" if cell is None else plain(cell) for cell in row] for row in rows]
    if not cells:
        return
    kept = [number for number in range(len(columns)) if any(row[number] for row in cells)]
    drawn = Table(box=SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for number in kept:
        drawn.add_column(columns[number], overflow="fold", no_wrap=columns[number].endswith("id"))
    for row in cells:
        drawn.add_row(*(_coloured(row[number]) for number in kept))
    _console().print(drawn)


def listing(columns: Sequence[str], documents: Sequence[Document]) -> None:
    """A table of documents; where there are none, a word on standard error."""
    table(columns, ([document[name] for name in columns] for document in documents))
    if not documents:
        click.echo("there are none", err=True)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values, one pair a line; empty values are left out."""
    there = [(name, plain(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in there), default=0)
    for name, value in there:
        _console().print(Text(f"{name:<{width}}  ", style="bold"), _coloured(value), soft_wrap=True, sep="")


def checkpoint(document: Document) -> None:
    """A checkpoint with its resources."""
    facts((name, document.get(name)) for name in ("id", "name", "status", "reason", "created_at", "operation_id"))
    _outcomes(document)
    table(
        ("resource", "cannot be saved"),
        ((_title(item), each) for item in document["resources"] for each in item["not_kept"]),
    )


def restore(document: Document) -> None:
    """What a restore made, under which ids and addresses, what it did not and why, and how to undo it."""
    facts((name, document[name]) for name in ("id", "status", "checkpoint_id", "started_at", "ended_at", "error_info"))
    table(
        ("type", "name", "original id", "restored id", "status", "reason"),
        (
            (item["type"], item["name"], item["original_id"], item["restored_id"], item["status"], item["reason"])
            for item in document["resources"]
        ),
    )
    table(
        ("kind", "name", "new id", "addresses"),
        ((item["kind"], item["name"], item["id"], ", ".join(item["addresses"])) for item in document["made"]),
        title="left behind, not taken back" if document["left"] else "made",
    )
    table(("kind", "id"), ((item["kind"], item["id"]) for item in document["used"]), title="still there, used as it is")
    _notes(document["notes"])
    if document.get("undo"):
        line(f"To undo it: {document['undo']}")


def verification(document: Document) -> None:
    """What was proved of each resource."""
    facts((name, document[name]) for name in ("id", "status", "checkpoint_id", "started_at", "ended_at", "error_info"))
    _outcomes(document)
    table(
        ("resource", "what", "proof"),
        ((_title(note["resource"]), note["attribute"], note["why"]) for note in document["notes"]),
    )


def outline(document: Document) -> None:
    """What a restore is going to do."""
    actions = [item for item in document["items"] if item["verb"] in ("make", "use", "act")]
    table(
        ("action", "what", "for"),
        ((item["verb"], _what(item), _title(item["resource"])) for item in actions),
        title=f"restore of checkpoint {document['checkpoint_id']}: nothing has been changed",
    )
    _notes([{**item, "attribute": item["key"]} for item in document["items"] if item["verb"] == "note"])
    table(("quota", "needed"), document["needs"].items())
    table(
        ("it cannot be done because", "of"),
        ((item["reason"], _title(item["resource"]) if item["resource"] else "") for item in document["blockers"]),
    )


SHOWN: Mapping[str, Callable[[Document], None]] = {
    "checkpoint": checkpoint,
    "restore": restore,
    "verification": verification,
}
"""How each document is shown to people."""


def _outcomes(document: Document) -> None:
    columns = ("type", "name", "id", "status", "reason")
    table(columns, ([item[name] for name in columns] for item in document["resources"]))


def _notes(notes: Sequence[Document]) -> None:
    """What is not as it was; of what is, only how much."""
    table(
        ("resource", "attribute", "outcome", "why"),
        (
            (_title(note["resource"]), note["attribute"], note["outcome"], note["why"])
            for note in notes
            if note["outcome"] != "same"
        ),
        title="not as it was",
    )
    same = Counter(note["outcome"] for note in notes)["same"]
    if same:
        line(f"{same} attributes are the same as they were.")


def _title(resource: Document) -> str:
    return f"{resource['type']} {resource['name'] or resource['id']}"


def _what(item: Document) -> str:
    if item["verb"] == "make":
        return f"{item['kind']} {item['title']}" + (" (temporary)" if item["temporary"] else "")
    if item["verb"] == "use":
        return f"{item['kind']} {str.__str__(item['id'])}"
    return str(item["key"])


def _coloured(text: str) -> Text:
    return Text(text, style="green" if text in GOOD else "red" if text in BAD else "")


def _console() -> Console:
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_UNBOUNDED)
