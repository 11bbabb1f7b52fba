"""Providers: a bank and the plug-ins chosen for it, from `providers.d/*.conf` or the embedded defaults."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from karbor.banks.archive import Archive
from karbor.model.errors import Invalid, NotFound
from karbor.plugins import registry
from karbor.plugins.base import Operation, ProtectionPlugin
from karbor.plugins.options import parse

OS_INFRA = "cf56bd3e-97a7-4078-b6d5-f36246333fd9"
NOOP = "b766f37c-d011-4026-8228-28730d734a3f"
WAITS = ("in_doubt", "wait", "wait_per_gib", "delete_wait", "retry")
"""The settings of `engine.scope.Settings`, in seconds, that a provider may have its own of."""


@dataclass(frozen=True)
class Provider:
    """Where checkpoints are kept and which plug-in does what for which type."""

    id: str
    name: str
    description: str
    archive: Archive
    plugins: Mapping[str, type[ProtectionPlugin]]
    """By resource type."""
    waits: Mapping[str, float] = field(default_factory=dict)
    """Seconds of patience that differ from the engine's own, as in `engine.scope.Settings`."""

    def operation(self, verb: str, type_name: str) -> Operation:
        """A new operation. Raises Invalid when no plug-in of this provider offers the verb for the type."""
        plugin = self.plugins.get(type_name)
        operation: type[Operation] | None = getattr(plugin, verb, None)
        if operation is None:
            raise Invalid(f"provider {self.name!r} has no plug-in that can {verb} {type_name}")
        return operation()

    def options(self, verb: str, type_name: str, id: str, parameters: Mapping[str, Any]) -> Any:
        """The options for one resource: those of its type, overridden by those of `TYPE#ID`. Raises Invalid."""
        given = {**parameters.get(type_name, {}), **parameters.get(f"{type_name}#{id}", {})}
        try:
            return parse(self.operation(verb, type_name).Options, given)
        except Invalid as error:
            raise Invalid(f"{verb} of {type_name}: {error}") from error

    def check_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Raises Invalid when options are given for a type that this provider does not know."""
        for key in parameters:
            if key.partition("#")[0] not in self.plugins:
                raise Invalid(f"options are given for {key!r}, but provider {self.name!r} has no plug-in for that type")


def load_providers(state: Path, folder: Path | None = None) -> dict[str, Provider]:
    """The providers of a state folder by id: those of `folder` (None: its `providers.d`), else the embedded defaults.

    Raises Invalid naming the file and what is wrong in it.
    """
    files = sorted((folder or state / "providers.d").glob("*.conf"))
    found = [provider for file in files if (provider := _read(file, state)) is not None] or _defaults(state)
    return {provider.id: provider for provider in found}


def find_provider(providers: Mapping[str, Provider], text: str | None) -> Provider:
    """By id or name; without one OS Infra or, where that is not there, the first. Raises NotFound."""
    if text is None:
        return providers.get(OS_INFRA) or next(iter(providers.values()))
    for provider in providers.values():
        if text in (provider.id, provider.name):
            return provider
    known = ", ".join(f"{provider.name} ({provider.id})" for provider in providers.values())
    raise NotFound(f"there is no provider {text!r}; there are {known}")


def _defaults(state: Path) -> list[Provider]:
    archive = Archive(registry.bank("file_system")(state / "bank"))
    plugins = registry.protections()
    real = [plugin for name, plugin in plugins.items() if name != "noop"]
    noop = [plugins["noop"]]
    return [
        Provider(OS_INFRA, "OS Infra", "Servers, volumes, images and networks of OpenStack", archive, _table(real)),
        Provider(NOOP, "No-op", "Records what there is and saves nothing of it", archive, _table(noop)),
    ]


def _table(plugins: list[type[ProtectionPlugin]]) -> dict[str, type[ProtectionPlugin]]:
    """The plug-in of each type. Raises Invalid when two want the same."""
    table: dict[str, type[ProtectionPlugin]] = {}
    for plugin in plugins:
        for served in sorted(plugin.types):
            if served in table:
                raise Invalid(
                    f"plug-ins {table[served].name!r} and {plugin.name!r} both serve {served}; "
                    "name the wanted ones in a provider file in providers.d"
                )
            table[served] = plugin
    return table


def _read(file: Path, state: Path) -> Provider | None:
    """A provider file: `[provider]` (id, name, description, bank, plugin: one a line, enabled), `[bank]`, `[wait]`."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string(file.read_text(), source=str(file))
        section = config["provider"]
        if not section.getboolean("enabled", fallback=False):
            return None
        known = registry.protections()
        chosen = [known[name] for name in section["plugin"].split()]
        location = config.get("bank", "path", fallback=str(state / "bank"))
        bank = registry.bank(section.get("bank", "file_system"))(Path(location))
        waits = {name: config.getfloat("wait", name) for name in config.options("wait")} if "wait" in config else {}
        if unknown := waits.keys() - WAITS:
            raise Invalid(f"provider file {file}: [wait] has {sorted(unknown)}; it may have {', '.join(WAITS)}")
        return Provider(
            section["id"], section["name"], section.get("description", ""), Archive(bank), _table(chosen), waits
        )
    except KeyError as error:
        raise Invalid(f"provider file {file}: {error} is missing or unknown") from error
    except (configparser.Error, ValueError) as error:
        raise Invalid(f"provider file {file}: {error}") from error
