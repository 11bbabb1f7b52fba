"""What an operation is asked to do, with the checkpoint that it is about: all that can be known without running it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

from karbor.cloud.connection import Cloud
from karbor.engine.scope import Scope, Settings
from karbor.model.errors import BankCorrupt, Blocked, Invalid
from karbor.model.manifest import Manifest
from karbor.model.resource import Ref, ResourceGraph
from karbor.providers import Provider
from karbor.store.journal import Journal


class Request:
    """One verb over one checkpoint (of `project_id`) in one cloud. `row` is the operation's row in the database."""

    verb: ClassVar[str]

    def __init__(self, row: Mapping[str, Any], cloud: Cloud, provider: Provider, settings: Settings) -> None:
        self.row = row
        self.request: Mapping[str, Any] = row["request"]
        self.cloud = cloud
        self.provider = provider
        self.archive = provider.archive
        self.settings = dataclasses.replace(settings, **dict[str, Any](provider.waits))

    @property
    def project_id(self) -> str:
        """Whose checkpoint it is; a restore may run in another project than that."""
        return str(self.request.get("checkpoint_project_id") or self.row["project_id"])

    @property
    def checkpoint_id(self) -> str:
        return str(self.row["checkpoint_id"])

    @property
    def suspends(self) -> bool:
        """Whether a refused login makes it wait for a new credential.

        A command has no other one to give. Nobody is there for a scheduled one that has not begun: that fails, and
        its schedule shows why.
        """
        unattended = self.row.get("scheduled_operation_id") and self.row["graph"] is None
        return self.row.get("runner") == "service" and not unattended

    @cached_property
    def manifest(self) -> Manifest:
        return self.archive.read_manifest(self.project_id, self.checkpoint_id)

    def facts(self) -> dict[Ref, Mapping[str, Any]]:
        """What the checkpoint's good resources kept."""
        return {saved.ref: saved.saved for saved in self.manifest.resources if saved.status == "available"}

    def saved_graph(self) -> ResourceGraph:
        """The checkpoint's graph, or the part of it that the request names. Raises Blocked where a copy is bad."""
        graph = self.archive.read_graph(self.project_id, self.checkpoint_id)
        good = self.facts()
        wanted = [Ref(type, id) for type, id in self.request.get("resources") or ()]
        part = graph.only(wanted) if wanted else graph
        bad = [str(part.resources[ref]) for ref in part.resources if ref not in good]
        if bad:
            raise Blocked(
                f"checkpoint {self.checkpoint_id} holds no good copy of {', '.join(bad)}; name the resources to take"
            )
        self._check_indexes(part)
        return part

    def _check_indexes(self, graph: ResourceGraph) -> None:
        """Raises BankCorrupt when the index of an artifact is not the one that the manifest answers for."""
        for saved in self.manifest.resources:
            if saved.ref in graph and saved.artifacts:
                found = self.archive.artifacts(self.project_id, self.checkpoint_id, saved.ref)
                wrong = [name for name, digest in saved.artifacts.items() if found.get(name) != digest]
                if wrong:
                    raise BankCorrupt(
                        f"checkpoint {self.checkpoint_id}: the index of {', '.join(wrong)} of {saved.ref} "
                        "is not what was saved"
                    )

    def scope(
        self, graph: ResourceGraph, saved: Mapping[Ref, Mapping[str, Any]], journal: Journal | None = None
    ) -> Scope:
        """What the hooks of this operation share; without a journal they can only be planned."""
        parameters = self.request.get("parameters", {})
        writable = self.verb == "protect"
        return Scope(
            operation_id=self.row["id"],
            verb=self.verb,
            graph=graph,
            operations={ref: self.provider.operation(self.verb, ref.type) for ref in graph.resources},
            options={ref: self.provider.options(self.verb, ref.type, ref.id, parameters) for ref in graph.resources},
            saved=saved,
            cloud=self.cloud,
            section_of=lambda ref: self.archive.section(self.project_id, self.checkpoint_id, ref, writable=writable),
            journal=journal,
            surroundings=self.request.get("surroundings", "auto"),
            settings=self.settings,
            suspends=self.suspends,
        )


def check_options(verb: str, provider: Provider, refs: Collection[Ref], parameters: Mapping[str, Any]) -> None:
    """Raises Invalid when a type has no plug-in, an option does not fit, or one is for a resource not among `refs`."""
    provider.check_parameters(parameters)
    for ref in refs:
        provider.options(verb, ref.type, ref.id, parameters)
    if nobodys := without_effect(refs, parameters):
        raise Invalid(
            f"options are given for {', '.join(nobodys)}, no part of this {verb}; give the id of one that is, or the "
            "type alone for all of it"
        )


def without_effect(refs: Iterable[Ref], parameters: Mapping[str, Any]) -> list[str]:
    """The `TYPE#ID` that options are given for and that are not among `refs`."""
    known = {f"{ref.type}#{ref.id}" for ref in refs}
    return [key for key, given in parameters.items() if given and "#" in key and key not in known]
