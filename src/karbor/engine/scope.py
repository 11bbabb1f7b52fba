"""What all hooks of one operation share: its graph, its cloud, its journal, its place in the bank, its patience."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from karbor import clock
from karbor.banks.section import Section
from karbor.cloud.connection import Cloud
from karbor.engine.steps import Steps
from karbor.model.errors import Cancelled, Suspended, Unauthorized
from karbor.model.resource import Ref, ResourceGraph
from karbor.plugins.base import Operation
from karbor.store.journal import Entry, Journal
from karbor.store.operations import NEEDS_CREDENTIALS


@dataclass(frozen=True)
class Settings:
    """How patient an engine is, in seconds."""

    in_doubt: float = 5.0
    """After a process died in the middle of a create, how long its request may still be running."""
    wait: float = 1800.0
    """How long a wait may go on without any sign of progress …"""
    wait_per_gib: float = 60.0
    """… and how much longer for each GiB of the object."""
    delete_wait: float = 300.0
    """How long something that is still in use is asked to go."""
    tries: int = 4
    """How often a call whose outcome is unclear is made in all."""
    retry: float = 0.2
    """The first pause between such tries; it doubles."""


@dataclass
class Scope:
    """One operation that is being planned or run. `journal` is None while planning."""

    operation_id: str
    verb: str
    graph: ResourceGraph
    operations: Mapping[Ref, Operation]
    """The operation of each resource; one without hooks is no work."""
    options: Mapping[Ref, Any]
    saved: Mapping[Ref, Mapping[str, Any]]
    """Facts from the manifest; empty while protecting."""
    cloud: Cloud
    section_of: Callable[[Ref], Section]
    journal: Journal | None
    surroundings: str = "auto"
    settings: Settings = field(default_factory=Settings)
    suspends: bool = False
    """Whether a refused login is no failure, because somebody may give the operation a new credential."""
    over: set[int] = field(default_factory=set)
    """The steps that have ended in this run, or in this planning …"""
    undone: set[int] = field(default_factory=set)
    """… and those that failed or were skipped."""

    @cached_property
    def steps(self) -> Steps:
        return Steps(self.graph)

    @cached_property
    def parents(self) -> dict[Ref, tuple[Ref, ...]]:
        """For each resource the ones that need it."""
        return self.graph.parents()

    def tag(self, entry: Entry) -> str:
        """The mark of what `entry` makes: the same in every run of the same operation, and in no other."""
        ref = self.steps.refs[entry.node]
        words = (self.operation_id, ref.type, ref.id, entry.kind, entry.old_type, entry.old_id, entry.key)
        text = "\0".join((*words, str(entry.attempt)))
        return "karbor-" + hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def log(self) -> Journal:
        assert self.journal is not None, "planning writes no journal"
        return self.journal

    def check(self, *, cleaning: bool) -> None:
        """Raise what ended the journal, or Cancelled unless this is the cleaning up."""
        self.log.check()
        if self.log.cancelled.is_set() and not cleaning:
            raise Cancelled("the operation was cancelled")

    def do(self, job: Callable[[], None]) -> None:
        """Run a job; raises Suspended, in all threads of the operation, when the cloud lets it in no more."""
        try:
            job()
        except Unauthorized as error:
            if not self.suspends:
                raise
            suspend(self.log, error)

    def pause(self, seconds: float, *, cleaning: bool) -> None:
        """Wait, but no longer than until a cancel; then `check`."""
        if cleaning:
            clock.sleep(seconds)
        else:
            self.log.cancelled.wait(seconds)
        self.check(cleaning=cleaning)


def suspend(journal: Journal, error: Unauthorized) -> NoReturn:
    """Stop an operation where it stands, as if its process had died, until it gets a new credential."""
    journal.stop(Suspended(str(error), NEEDS_CREDENTIALS))
    journal.check()
    raise AssertionError("a stopped journal raises")
