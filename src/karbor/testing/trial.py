"""An application on a rig with which verbs are tried, one after the other; each try ends with everything as before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.engine.worker import Engine
from karbor.model.resource import Ref, ResourceGraph
from karbor.providers import Provider
from karbor.store import operations
from karbor.testing import kills, portraits
from karbor.testing.portraits import Portrait
from karbor.testing.rig import Rig
from karbor.testing.troubles import TroubledCloud

Row = Mapping[str, Any]


OF_THE_SANDBOX = frozenset({"timer", "count", "token", "burnt_image", "last_address", "deleted_server"})
"""What a sandbox keeps besides the things that its services show."""
FLEETING = frozenset({"updated_at", "revision_number"})
"""What tells that a thing was changed, even if it was changed back."""


@dataclass
class Application:
    """What a plug-in's suite protects."""

    refs: list[Ref]
    """The resources that the plan names."""
    lose: Callable[[], None] = lambda: None
    """Deletes the originals, so that a restore cannot lean on them."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Options of the protection, as a plan has them."""


@dataclass(frozen=True)
class Undisturbed:
    """How a verb goes when nobody disturbs it."""

    creates: Mapping[str, int]
    """How many objects of each kind it creates."""
    portrait: Portrait
    """What is the same after every such run."""
    moments: int
    """How many moments its journal has at which it can be killed."""

    def some_moments(self, about: int) -> range:
        """About so many of them, evenly spread; before and after commits by turns."""
        return range(0, self.moments, self.moments // about | 1)


class Trial:
    """A rig with an application that stands, until it is `lost`."""

    def __init__(self, rig: Rig, provider_id: str, application: Application) -> None:
        self.rig = rig
        self.provider: Provider = rig.providers[provider_id]
        self.application = application
        self.checkpoint_id = ""
        """The checkpoint of a lost application."""
        self.before = self.world()

    @cached_property
    def troubled(self) -> TroubledCloud:
        """The same cloud, to go wrong where it is told to."""
        cloud = TroubledCloud.connect("sandbox", state=self.rig.folder)
        cloud.fault = self.rig.fault
        return cloud

    @cached_property
    def graph(self) -> ResourceGraph:
        return self.rig.discover(*self.application.refs)

    def offers(self, verb: str) -> bool:
        """Whether the provider's plug-ins have this verb for all resources."""
        return all(getattr(self.provider.plugins[ref.type], verb) for ref in self.graph.resources)

    def lose(self) -> Trial:
        """Protect the application and delete it; itself."""
        self.checkpoint_id = self.good(self.run(self.start_protect()))["checkpoint_id"]
        self.application.lose()
        self.before = self.world()
        return self

    def start_protect(self) -> str:
        return self.rig.engine().start_protect(
            self.rig.cloud(), self.provider, self.graph, parameters=self.application.parameters
        )

    def start_restore(self, checkpoint_id: str = "") -> str:
        return self.rig.engine().start_restore(self.rig.cloud(), checkpoint_id or self.checkpoint_id)

    def start(self, verb: str, checkpoint_id: str) -> str:
        """Start a verification or a deletion."""
        return self.rig.engine().start(verb, self.rig.cloud(), checkpoint_id)

    def going_on(self, id: str) -> kills.Go:
        """What brings an operation on, as far as it has not ended."""

        def go(engine: Engine) -> None:
            if operations.get(self.rig.database, id)["phase"] != "ended":
                engine.run(id, self.rig.cloud())

        return go

    def going_back(self, id: str, cloud: Cloud | None = None) -> kills.Go:
        """What takes an operation back, as far as it has not been."""

        def go(engine: Engine) -> None:
            row = operations.get(self.rig.database, id)
            if row["phase"] != "ended" or row["status"] == "success":
                engine.roll_back(id, cloud or self.rig.cloud())

        return go

    def run(self, id: str, cloud: Cloud | None = None) -> Row:
        """Bring an operation to its end, which it may have reached, with a new engine."""
        row = operations.get(self.rig.database, id)
        return row if row["phase"] == "ended" else self.rig.engine().run(id, cloud or self.rig.cloud())

    def roll_back(self, id: str) -> Row:
        """Take an operation back with a new engine."""
        self.going_back(id)(self.rig.engine())
        row = operations.get(self.rig.database, id)
        assert row["phase"] == "ended", row["error_info"]
        return row

    def good(self, row: Row) -> Row:
        """The row of an operation that has to have gone well."""
        assert row["status"] in ("available", "success", "deleted"), row["error_info"]
        return row

    def delete(self, checkpoint_id: str) -> None:
        """Delete a checkpoint of whatever state, after which nothing of it may be left."""
        self.good(self.run(self.start("delete", checkpoint_id)))
        entries = self.provider.archive.checkpoints(self.rig.cloud().project_id)
        assert checkpoint_id not in {entry.checkpoint_id for entry in entries}

    def portrait(self, row: Row) -> Portrait:
        """What a finished protection or restore has brought about."""
        cloud = self.rig.cloud()
        if row["operation_type"] == "restore":
            return portraits.of_restore(self.rig, cloud, row["id"])
        return portraits.of_checkpoint(self.rig, cloud.project_id, self.provider.id, row["checkpoint_id"])

    def clear(self, row: Row) -> None:
        """Take away what a finished protection or restore has brought about, and check that all of it went."""
        if row["operation_type"] == "restore":
            self.roll_back(row["id"])
        else:
            self.delete(row["checkpoint_id"])
        self.check_as_before("it was taken away again")

    def check_as_before(self, when: str) -> None:
        """Nothing has been left behind, nothing is missing, and nothing else was changed."""
        now, before = self.world(), self.before
        odd = [f"left behind: {name} {now[name].get('name', '')}" for name in now.keys() - before.keys()]
        odd += [f"missing: {name} {before[name].get('name', '')}" for name in before.keys() - now.keys()]
        for name in now.keys() & before.keys():
            old, new = before[name], now[name]
            changes = [f"{key} {old.get(key)!r} -> {new[key]!r}" for key in new if new[key] != old.get(key)]
            odd += [f"changed: {name}: {change}" for change in changes]
        assert not odd, "\n".join((f"{when}:", *sorted(odd)))

    def world(self) -> dict[str, dict[str, Any]]:
        """All that there is in the cloud, other projects' and users' things too, and in the bank, each by a name."""
        state = self.rig.sandbox.state
        with state.lock:
            state.run_due()
            tables = json.loads(json.dumps(state.tables()))
        things = {
            f"{kind} {id}": {key: each for key, each in thing.items() if key not in FLEETING}
            for kind, table in tables.items()
            if kind not in OF_THE_SANDBOX
            for id, thing in table.items()
        }
        bank = self.provider.archive.bank
        keys = (key for folder in bank.folders() for key in bank.list(f"{folder}/"))
        return things | {f"{key} in the bank": {} for key in keys}

    def creates(self) -> dict[str, int]:
        """How many objects of each kind were ever created."""
        return dict(self.rig.ask("/sandbox/counts")["creates"])

    def since(self, creates: Mapping[str, int]) -> dict[str, int]:
        """How many more there are by now."""
        return {kind: more for kind, count in self.creates().items() if (more := count - creates.get(kind, 0))}

    def undisturbed(self, start: Callable[[], str]) -> Undisturbed:
        """Run a protection or restore twice without disturbance, and take away what it did."""
        seen = []
        for _ in range(2):
            creates = self.creates()
            id = start()
            moments = kills.moments(self.rig, self.going_on(id))
            made = self.since(creates)
            row = self.good(operations.get(self.rig.database, id))
            seen.append(self.portrait(row))
            self.clear(row)
        return Undisturbed(made, portraits.lasting(*seen), moments)

    @cached_property
    def protecting(self) -> Undisturbed:
        return self.undisturbed(self.start_protect)

    @cached_property
    def restoring(self) -> Undisturbed:
        return self.undisturbed(self.start_restore)

    def killed_and_resumed(self, start: Callable[[], str], model: Undisturbed, single: int) -> Iterator[Row]:
        """Operations that were killed and still came to their end: two at every commit, about `single` once each."""
        points: tuple[kills.Point, ...] = ("before", "after")
        for point in points:
            creates = self.creates()
            id = start()
            count = kills.killed_at_every_commit(self.rig, id, self.going_on(id), point)
            assert count > 0, "nobody was killed"
            yield self._as_good(model, id, creates, f"when it was killed {point} every commit")
        for moment in model.some_moments(single):
            creates = self.creates()
            id = start()
            kills.killed(self.rig, self.going_on(id), moment)
            yield self._as_good(model, id, creates, f"when it was killed at moment {moment}")

    def _as_good(self, model: Undisturbed, id: str, creates: Mapping[str, int], when: str) -> Row:
        row = self.run(id)
        self.check_like(model, row, creates, when)
        return row

    def check_like(self, model: Undisturbed, row: Row, creates: Mapping[str, int], when: str) -> None:
        """An operation went as well as an undisturbed one, and created no more since `creates` was counted."""
        assert row["status"] in ("available", "success"), f"{when}: {row['error_info']}"
        assert self.since(creates) == model.creates, f"{when}: something was made twice or not at all"
        differences = portraits.differences(self.portrait(row), model.portrait)
        assert not differences, "\n".join((f"{when}:", *differences))
