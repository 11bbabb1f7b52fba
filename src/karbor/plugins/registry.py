"""Finds protection plug-ins, protectables and banks through entry points, so that others can ship theirs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from karbor.banks.base import Bank
from karbor.model.errors import Invalid
from karbor.plugins.base import VERBS, Operation, Protectable, ProtectionPlugin

PROTECTIONS = "karbor.protections"
PROTECTABLES = "karbor.protectables"
BANKS = "karbor.banks"

_ORDER = (
    "project", "server", "image", "volume", "keypair", "server_group", "security_group", "router", "network",
)  # fmt: skip
"""How the children of a resource follow one another: clients expect images before volumes and networks last."""
_PROTECTABLE = ("type", "parents", "all", "one", "children_of", "references_of")


def protections() -> dict[str, type[ProtectionPlugin]]:
    """All installed protection plug-ins by name. Raises Invalid naming the one that is broken."""
    return {name: _protection(point) for name, point in _installed(PROTECTIONS).items()}


def protectables() -> dict[str, Protectable]:
    """All installed protectables by resource type, in the order in which children are listed. Raises Invalid."""
    found: dict[str, Protectable] = {}
    for point in _installed(PROTECTABLES).values():
        protectable = _load(point)
        missing = [part for part in _PROTECTABLE if not hasattr(protectable, part)]
        if missing:
            raise Invalid(f"{_words(point)} is no protectable: it has no {', '.join(missing)}")
        if protectable.type in found:
            raise Invalid(f"{_words(point)} is for {protectable.type}, and so is another one; uninstall one of them")
        found[protectable.type] = protectable
    return found


def kinds() -> dict[str, str]:
    """The resource type behind each word that people use for one (`server`): the installed protectables' names."""
    return {name: str(_load(point).type) for name, point in _installed(PROTECTABLES).items()}


def bank(name: str) -> Callable[..., Bank]:
    """The class of the bank called `name`. Raises Invalid naming the banks that there are."""
    installed = _installed(BANKS)
    if name not in installed:
        raise Invalid(f"there is no bank {name!r}; installed are {', '.join(installed)}")
    found = _load(installed[name])
    if not (isinstance(found, type) and issubclass(found, Bank)):
        raise Invalid(f"{_words(installed[name])} is no bank")
    return found


def _protection(point: EntryPoint) -> type[ProtectionPlugin]:
    plugin = _load(point)
    if not (isinstance(plugin, type) and issubclass(plugin, ProtectionPlugin)):
        raise Invalid(f"{_words(point)} is no protection plug-in")
    if not getattr(plugin, "types", None):
        raise Invalid(f"{_words(point)} names no resource types")
    for verb in VERBS:
        operation = getattr(plugin, verb)
        if operation is not None and not (isinstance(operation, type) and issubclass(operation, Operation)):
            raise Invalid(f"{_words(point)} has something for {verb} that is no operation")
    return plugin


def _installed(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name, ours first. Raises Invalid where two packages use one name."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=_place):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise Invalid(f"{_words(point)} and {_words(other)} have the same name; uninstall one of them")
    return found


def _place(point: EntryPoint) -> tuple[int, str]:
    return (_ORDER.index(point.name) if point.name in _ORDER else len(_ORDER), point.name)


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise Invalid(f"{_words(point)} cannot be loaded: {error}; reinstall or uninstall it") from error


def _words(point: EntryPoint) -> str:
    package = f" of {point.dist.name}" if point.dist else ""
    return f"the {point.group} plug-in {point.name!r}{package} ({point.value})"
