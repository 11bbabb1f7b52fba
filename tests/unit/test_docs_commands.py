"""Every command and option that a document names is there, and takes what the document gives it."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import click
import pytest
from doc_text import DOCUMENTS, ROOT, commands, file_in, read, spans

from karbor import main
from karbor.plugins import registry
from karbor.plugins.base import VERBS
from karbor.serving import manage

GUIDE = read("docs/plugin-guide.md")
CLIENTS = tuple(f"openstack.{api}" for api in ("volume.v3", "compute.v2", "image.v2", "network.v2", "identity.v3"))


def lines(program: str) -> list[Any]:
    """Each command line of a program in any document, once."""
    found = {
        " ".join(words): pytest.param(words[1:], id=f"{path.name}: {' '.join(words)}")
        for path in DOCUMENTS
        for words in commands(path.read_text())
        if words and words[0] == program
    }
    return list(found.values())


def parse(words: list[str]) -> click.Context:
    """Take a `karbor` command line apart as `karbor` does, without running it. Raises ClickException."""
    command: click.Command = main.karbor
    context = click.Context(command, info_name="karbor")
    rest = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        if found is None:
            raise click.UsageError(f"there is no command {rest[0]!r}")
        command = found
        context = click.Context(command, parent=context, info_name=rest.pop(0))
    return command.make_context(str(context.info_name), rest, parent=context.parent)


@pytest.mark.parametrize("words", lines("karbor"))
def test_karbor_takes_it(words: list[str]) -> None:
    assert parse(words).command_path.startswith("karbor")


@pytest.mark.parametrize("words", [["protects", "server/web"], ["protect"], ["restore", "ID", "--dry"]])
def test_what_is_not_there_is_found_out(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.fixture(scope="module")
def client() -> dict[str, EntryPoint]:
    """The commands of the `openstack` client, as they are typed but with `_` between words."""
    return {point.name: point for group in CLIENTS for point in entry_points(group=group)}


@pytest.mark.filterwarnings("ignore")  # of the client's own libraries
@pytest.mark.parametrize("words", lines("openstack"))
def test_the_openstack_client_takes_it(client: dict[str, EntryPoint], words: list[str]) -> None:
    length = next(length for length in range(len(words), 0, -1) if "_".join(words[:length]) in client)
    parser: argparse.ArgumentParser = client["_".join(words[:length])].load()(None, None).get_parser("openstack")
    parser.parse_args(words[length:])


@pytest.mark.parametrize("words", lines("make"))
def test_make_has_the_target(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{re.escape(words[0])}:", makefile, re.MULTILINE)
    for word in words[1:]:
        assert re.search(rf"^{word.partition('=')[0]} \?=", makefile, re.MULTILINE)


def options(command: click.Command) -> set[str]:
    """All options of a command and of those below it."""
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union({"--help"}, *(options(each) for each in below))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_in_the_prose_is_there(path: Path) -> None:
    known = options(main.karbor) | options(manage.manage)
    known.update(*(re.findall(r'"(--[\w-]+)"', script.read_text()) for script in (ROOT / "benchmarks").glob("*.py")))
    named = {word for code in spans(path.read_text()) for word in re.findall(r"(?<!\S)--[a-z][\w-]*", code)}
    assert named <= known


def plugin_options() -> set[str]:
    """What stands before `=` after `--option`: those of the plug-ins, and of the one that the guide shows."""
    plugins = registry.protections()
    types = registry.kinds()
    found = set(re.findall(r"^    (network_id)\b.*= option\(", file_in(GUIDE, "karbor_floating_ips.py"), re.MULTILINE))
    found = {f"floating_ip.{name}" for name in found}
    for word, type in types.items():
        for plugin in plugins.values():
            operations = (getattr(plugin, verb) for verb in VERBS if type in plugin.types)
            found |= {f"{word}.{field.name}" for each in operations if each for field in fields(each.Options)}
    return found


def test_every_option_of_a_plug_in_is_there() -> None:
    words = {*registry.kinds(), "floating_ip"}
    known = plugin_options()
    named = set()
    for path in DOCUMENTS:
        text = path.read_text()
        named |= {
            code for code in spans(text) if re.fullmatch(r"[a-z_]+\.[a-z_]+", code) and code.split(".")[0] in words
        }
        named |= {word.partition("=")[0] for found in commands(text) for word in found if re.match(r"\w+\.\w+=", word)}
    assert named
    assert named <= known
