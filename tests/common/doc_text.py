"""Reads the project's documents for the tests that hold them to the truth."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def read(name: str) -> str:
    """The text of a document, by its path in the repository."""
    return (ROOT / name).read_text()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [code for found, code in FENCE.findall(text) if found == language]


def file_in(text: str, name: str) -> str:
    """The block that a line "`name`:" announces."""
    (code,) = re.findall(rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(code)


def prose(text: str) -> str:
    """What is left without the fenced blocks."""
    return FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """The short pieces of code in the prose, each on one line."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text))]


def commands(text: str) -> Iterator[list[str]]:
    """The command lines of a document, as words: those of its sessions, its scripts and its prose."""
    lines = [line.removeprefix("$ ") for code in blocks(text, "console") for line in code.splitlines()]
    lines += [line for code in blocks(text, "sh") for line in code.splitlines()]
    lines += [code for code in spans(text) if re.match(r"(karbor|make|openstack) \w", code)]
    for line in lines:
        words = shlex.split(line, comments=True)
        yield [word for word in words if word != "&"]


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table whose heading begins with the cell `heading`, row by row."""
    table: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells and table:
            break
        if table or (cells and cells[0] == heading):
            table.append(cells)
    return table[2:]
