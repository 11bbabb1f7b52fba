"""Plug-ins for toys and an engine on a fresh database, shared by the tests of the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from karbor import clock
from karbor.banks.archive import Archive
from karbor.banks.memory import MemoryBank
from karbor.engine.scope import Settings
from karbor.engine.worker import Engine
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.plugins.base import HOOKS, Operation, ProtectionPlugin
from karbor.providers import Provider
from karbor.testing.databases import open_test_state
from karbor.testing.toy import TOY, ToyCloud

QUICK = Settings(in_doubt=0.0, wait=2.0, wait_per_gib=0.0, delete_wait=2.0, retry=0.001)


class Log:
    """When each hook started and ended, in one order over all threads."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.trouble: Callable[[str, str], None] = lambda _hook, _name: None
        self._lock = threading.Lock()

    def add(self, edge: str, hook: str, name: str) -> None:
        with self._lock:
            self.events.append((edge, hook, name))

    def at(self, edge: str, hook: str, name: str) -> int:
        return self.events.index((edge, hook, name))

    def ran(self, hook: str, name: str) -> bool:
        return ("start", hook, name) in self.events


LOG = Log()


def _logged(hook: str) -> Callable[[Any, Any], None]:
    def run(self: Operation, ctx: Any) -> None:
        name = ctx.resource.name
        LOG.add("start", hook, name)
        if ctx.failed is None:
            LOG.trouble(hook, name)
        LOG.add("end", hook, name)

    return run


LoggedOperation = type("LoggedOperation", (Operation,), {hook: _logged(hook) for hook in HOOKS})


@dataclass(frozen=True)
class ToyFacts:
    colour: str = ""
    copy: str = ""


class ProtectToy(Operation):
    """Takes a picture (temporary) and makes a copy of it."""

    Saved = ToyFacts

    def on_prepare_finish(self, ctx: Any) -> None:
        if ctx.failed:
            return
        ctx.make(TOY, ctx.resource.ref, {"name": f"picture of {ctx.resource.name}"}, key="picture", temporary=True)

    def on_main(self, ctx: Any) -> None:
        copy = ctx.make(TOY, Ref("copy", ctx.resource.id), {"name": f"copy of {ctx.resource.name}"})
        ctx.keep(colour="red", copy=copy)


class RestoreToy(Operation):
    """Makes the toy again on top of its children, then paints it."""

    Saved = ToyFacts

    def on_main(self, ctx: Any) -> None:
        ctx.choose("shelf", lambda _cloud: "top")
        ctx.make(TOY, Ref("part", ctx.resource.id), {"name": f"part of {ctx.resource.name}"})

    def on_complete(self, ctx: Any) -> None:
        needs = [ctx.new(child.ref) for child in ctx.children]
        toy = ctx.make(TOY, ctx.resource.ref, {"name": ctx.resource.name, "needs": needs})
        ctx.act(
            "paint",
            partial(TOY.paint, id=toy, colour=ctx.saved.colour),
            partial(TOY.painted, id=toy, colour=ctx.saved.colour),
            undo=partial(TOY.paint, id=toy, colour=""),
        )
        ctx.note("colour", "same")


class DeleteToy(Operation):
    Saved = ToyFacts

    def on_main(self, ctx: Any) -> None:
        ctx.remove(TOY, ctx.saved.copy)


class ToyPlugin(ProtectionPlugin):
    name = "toy"
    types = frozenset({TOY.type})
    protect = ProtectToy
    restore = RestoreToy
    verify = Operation
    delete = DeleteToy


class LoggedPlugin(ProtectionPlugin):
    name = "logged"
    types = frozenset({TOY.type})
    protect = restore = verify = delete = LoggedOperation


class Room:
    """A database, a bank, a toy cloud; a new engine on them whenever one is wanted."""

    def __init__(self, folder: Path, plugin: type[ProtectionPlugin] = ToyPlugin) -> None:
        self.database = open_test_state(folder)
        self.cloud: Any = ToyCloud()
        self.provider = Provider(clock.new_id(), "toys", "", Archive(MemoryBank()), {TOY.type: plugin})

    def engine(self, observer: Callable[[str], None] | None = None) -> Engine:
        return Engine(self.database, {self.provider.id: self.provider}, QUICK, observer)

    def protect(self, graph: ResourceGraph) -> Any:
        engine = self.engine()
        return engine.run(engine.start_protect(self.cloud, self.provider, graph), self.cloud)


def toys(children: dict[str, list[str]], refers: dict[str, list[str]] | None = None) -> ResourceGraph:
    """A graph from names."""
    graph = ResourceGraph()
    for name in children:
        graph.add(Resource(Ref(TOY.type, name), name), named=True)
    for name, below in children.items():
        graph.link(Ref(TOY.type, name), [Ref(TOY.type, child) for child in below])
    for name, targets in (refers or {}).items():
        graph.refer(Ref(TOY.type, name), [Ref(TOY.type, target) for target in targets])
    return graph


class Killed(BaseException):
    """The process is gone."""


def killed_at(room: Room, id: str, moment: int) -> bool:
    """Run an operation and kill it at a moment of its journal; whether it was killed."""
    moments = iter(range(1_000_000))

    def observer(_point: str) -> None:
        if next(moments) == moment:
            raise Killed

    try:
        room.engine(observer).run(id, room.cloud)
    except Killed:
        return True
    return False
