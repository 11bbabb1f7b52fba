"""The words of the command line for resources and options: `server/web`, `volume#data.backup_mode=full`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from karbor.model.errors import Ambiguous, Invalid, NotFound
from karbor.model.resource import Ref

Parameters = dict[str, dict[str, str]]
"""Options by `TYPE` or, for one resource, `TYPE#ID`."""
OPTION = "TYPE[#NAME_OR_ID].KEY=VALUE"


class Thing(NamedTuple):
    """A resource as it was typed."""

    type: str
    """A resource type, e.g. `OS::Nova::Server`."""
    text: str
    """Its name or id; empty for the project that the caller is in."""


def kinds() -> dict[str, str]:
    """The resource type behind each KIND word, from the installed plug-ins."""
    from karbor.plugins import registry

    return registry.kinds()


def type_of(word: str) -> str:
    """The resource type that `word`, a KIND or a type itself, stands for. Raises Invalid naming the kinds."""
    known = kinds()
    if word in known.values():
        return word
    try:
        return known[word]
    except KeyError:
        raise Invalid(f"{word!r} is no kind of resource that can be protected; there are {', '.join(known)}") from None


def things(texts: Iterable[str]) -> list[Thing]:
    """What was typed as `KIND/NAME_OR_ID`. Raises Invalid, and UsageError where the name is missing."""
    return [_thing(text) for text in texts]


def _thing(text: str) -> Thing:
    word, slash, name = text.partition("/")
    if not name and (slash or word != "project"):
        raise click.UsageError(f"{text!r} names no resource; write KIND/NAME or KIND/ID, for example server/web")
    return Thing(type_of(word), name)


def parameters(texts: Iterable[str]) -> Parameters:
    """Options as they were typed, by type or `TYPE#NAME_OR_ID`. Raises Invalid and UsageError."""
    found: Parameters = {}
    for text in texts:
        target, equals, value = text.partition("=")
        place, dot, key = target.rpartition(".")
        word, mark, name = place.partition("#")
        if not (equals and dot and word and key) or (mark and not name):
            raise click.UsageError(f"{text!r} is no option; write {OPTION}, as in volume.backup_mode=full")
        found.setdefault(type_of(word) + mark + name, {})[key] = value
    return found


def addressed(parameters: Parameters, whole: Whole) -> Parameters:
    """The same options, with the ids of the resources that they name.

    A type that the whole has nothing of is told on standard error. Raises NotFound, Ambiguous listing the ids.
    """
    found: Parameters = {}
    for key, given in parameters.items():
        type, mark, name = key.partition("#")
        if mark:
            key = f"{type}#{whole.one(Thing(type, name)).id}"
        elif all(item["type"] != type for item in whole.resources):
            click.echo(f"karbor: the options for {type} change nothing: {whole.name} holds none", err=True)
        found.setdefault(key, {}).update(given)
    return found


class Whole(NamedTuple):
    """What a command is about, whose resources can be named."""

    name: str
    resources: Sequence[Mapping[str, Any]]
    """With `type`, `id`, `name`."""

    def one(self, thing: Thing) -> Ref:
        """The resource that was typed. Raises NotFound, Ambiguous listing the ids."""
        of_type = [item for item in self.resources if item["type"] == thing.type]
        named = [item for item in of_type if thing.text in (item["id"], item["name"], "")]
        found = [item for item in named if item["id"] == thing.text] or named
        if len(found) == 1:
            return Ref(found[0]["type"], found[0]["id"])
        if found:
            ids = ", ".join(item["id"] for item in found)
            raise Ambiguous(f"{self.name} holds {len(found)} {thing.type} {thing.text!r}: {ids}; give the id")
        there = ", ".join(f"{item['type']} {item['name']!r}" for item in self.resources[:10])
        raise NotFound(f"{self.name} holds no {thing.type} {thing.text!r}; it holds {there or 'nothing'}")


def checkpoint(row: Mapping[str, Any]) -> Whole:
    """A checkpoint, from its row."""
    return Whole(f"checkpoint {row['id']}", row["resources"])
