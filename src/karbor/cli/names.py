"""The words of the command line for resources and options: `server/web`, `volume#ID.backup_mode=full`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import click

from karbor.model.errors import Ambiguous, Invalid, NotFound
from karbor.model.resource import Ref


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


def parameters(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Options as the engine takes them, by `TYPE` or `TYPE#ID`. Raises Invalid and UsageError."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        place, dot, key = target.rpartition(".")
        if not (equals and dot and place and key):
            raise click.UsageError(f"{text!r} is no option; write TYPE[#ID].KEY=VALUE, as in volume.backup_mode=full")
        word, mark, id = place.partition("#")
        found.setdefault(type_of(word) + mark + id, {})[key] = value
    return found


def in_checkpoint(row: Mapping[str, Any], wanted: Iterable[Thing]) -> list[Ref]:
    """The resources of a checkpoint that were typed. Raises NotFound, Ambiguous listing the ids."""
    return [_one(row, thing) for thing in wanted]


def _one(row: Mapping[str, Any], thing: Thing) -> Ref:
    of_type = [item for item in row["resources"] if item["type"] == thing.type]
    named = [item for item in of_type if thing.text in (item["id"], item["name"], "")]
    found = [item for item in named if item["id"] == thing.text] or named
    if len(found) == 1:
        return Ref(found[0]["type"], found[0]["id"])
    if found:
        ids = ", ".join(item["id"] for item in found)
        raise Ambiguous(f"checkpoint {row['id']} holds {len(found)} {thing.type} {thing.text!r}: {ids}; give the id")
    there = ", ".join(f"{item['type']} {item['name']!r}" for item in row["resources"][:10])
    raise NotFound(f"checkpoint {row['id']} holds no {thing.type} {thing.text!r}; it holds {there or 'nothing'}")
