"""Nothing here installs, configures, imports or needs Heat.

The documents that say so may name it, and so may this, and the one benchmark that compares with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAT = re.compile(r"(?<![a-z])heat(?!(ed|er|ing|s)?[a-z])|heat_?(client|api|engine|stack)|orchestration", re.IGNORECASE)
SAID = {
    ".ci/run": ("without Heat", "LAB_HEAT=0"),
    "README.md": ("there is no Heat: each resource kind",),
    "ARCHITECTURE.md": ("There is no message bus, no Heat, no workflow engine",),
    "benchmarks/restore_vs_heat.py": ("has Heat make the same resources", "benchmarks/restore_vs_heat.py"),
    "benchmarks/versus/stacks.py": ('SERVICE = "orchestration"', '"heat_template_version"'),
    "docs/performance.md": ("The same work as a Heat stack", "a real cloud that has Heat", "restore_vs_heat"),
    "docs/plugin-guide.md": ("There is no template and no Heat", '`kwargs["heat_template"]`, of still older plug-ins'),
    "tests/unit/test_docs_installation.py": ("from test_no_heat import mentions",),
    "tests/unit/sandbox/test_identity.py": ('assert "orchestration" not in types',),
    "tests/unit/sandbox/test_sandbox_faults.py": ('{"service": "heat", "status": 500}', '{"heat": {"stacks": 1}}'),
}
"""Where it may be named, and the words: that there is none, or that it is only compared with."""
SKIPPED = {"test_no_heat.py", "build", "dist", "__pycache__"}
NAMES = {"Makefile", "Dockerfile", "Containerfile", "Vagrantfile", "run"}
SUFFIXES = {
    "", ".cfg", ".conf", ".css", ".html", ".ini", ".j2", ".js", ".json", ".mako", ".md", ".py", ".rst", ".service",
    ".sh", ".toml", ".txt", ".yaml", ".yml",
}  # fmt: skip


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every text of the repository: code, scripts, configuration, documents."""
    for path in folder.iterdir():
        hidden = path.name.startswith(".") and path.name != ".ci"
        if path.name in SKIPPED or path.name.endswith(".egg-info") or hidden:
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix in SUFFIXES or path.name in NAMES:
            yield path


def mentions(text: str, said: tuple[str, ...] = ()) -> list[str]:
    """The lines that name Heat, besides what may be said."""
    for words in said:
        text = text.replace(words, "")
    return [line.strip() for line in text.splitlines() if HEAT.search(line)]


def test_no_file_names_it() -> None:
    found = {}
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        found[name] = mentions(path.read_text(errors="replace"), SAID.get(name, ()))
    assert {"Makefile", "pyproject.toml", "constraints.txt", ".ci/run", "src/karbor/main.py", "README.md"} <= set(found)
    assert {"devstack/plugin.sh", "devstack/settings", "docs/installation.md", "constraints-clients.txt"} <= set(found)
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("name", SAID)
def test_what_may_be_said_is_said(name: str) -> None:
    text = (ROOT / name).read_text()
    for words in SAID[name]:
        assert words in text


def test_nothing_that_it_needs_is_part_of_it() -> None:
    needed: set[str] = set()
    queue = ["karbor-service"]
    for name in queue:
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # needed under other circumstances than these
        for line in lines:
            found = re.match(r"[\w.-]+", line)
            if found and found[0].lower() not in needed:
                needed.add(found[0].lower())
                queue.append(found[0].lower())
    assert {"openstacksdk", "sqlalchemy"} <= needed
    assert {name for name in needed if HEAT.search(name)} == set()


@pytest.mark.parametrize(
    "line",
    [
        "pip install python-heatclient",
        "from heatclient import client",
        "enable_service heat h-api",
        "apt-get install heat-engine",
        "[heat]",
        "conn.orchestration.create_stack()",
        "HEAT_URL=http://127.0.0.1:8004",
        "import openstack.orchestration",
    ],
)
def test_it_would_be_found(line: str) -> None:
    assert mentions(line) == [line]


@pytest.mark.parametrize("line", ["a heartbeat", "cheating", "the theatre", "wheat", "preheated", "heated"])
def test_other_words_are_let_pass(line: str) -> None:
    assert mentions(line) == []
