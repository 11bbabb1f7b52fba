"""What the scenario tests of storage do on the rig besides protecting and restoring."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from karbor import clock
from karbor.cloud.kind import Kind, Object
from karbor.engine.worker import Engine
from karbor.model.resource import Ref
from karbor.store import operations
from karbor.testing.rig import Rig

PATIENCE = 120.0


class Killed(BaseException):
    """The process is gone."""


class Stage(Rig):
    """A rig on which things are made by hand, looked at, and engines killed."""

    def killed_at(self, id: str, moment: int) -> bool:
        """Run an operation and kill it at a moment of its journal; whether it was killed before its end."""
        moments = iter(range(moment + 1))

        def observer(point: str) -> None:
            if next(moments, None) == moment:
                raise Killed

        try:
            self.engine(observer).run(id, self.cloud())
        except Killed:
            return True
        return False

    def resume(self, id: str, engine: Engine | None = None) -> Mapping[str, Any]:
        """Let another engine bring a killed operation to its end, which it may have reached."""
        row = operations.get(self.database, id)
        return row if row["phase"] == "ended" else (engine or self.engine()).run(id, self.cloud())

    def saved(self, checkpoint_id: str, ref: Ref) -> Mapping[str, Any]:
        """What the manifest holds of one resource."""
        manifest = self.provider.archive.read_manifest(self.cloud().project_id, checkpoint_id)
        return next(saved.saved for saved in manifest.resources if saved.ref == ref)

    def notes(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What an operation said of each attribute, as "outcome: why"."""
        return {
            entry["key"]: ": ".join(filter(None, (entry["value"]["outcome"], entry["value"]["why"])))
            for entry in operations.entries(self.database, row["id"])
            if entry["verb"] == "note"
        }

    def create(self, kind: Kind, body: Mapping[str, Any]) -> str:
        """Make something by hand, and wait until it is ready."""
        tag = "karbor-" + clock.new_id().replace("-", "")
        id = kind.create(self.cloud(), body, tag)
        self.until(lambda: kind.ready(self.now(kind, id)))
        kind.settle(self.cloud(), id, body, tag)
        return id

    def now(self, kind: Kind, id: str) -> Object:
        obj = kind.get(self.cloud(), id)
        assert obj is not None, f"{kind.name} {id} is gone"
        return obj

    def all(self, kind: Kind) -> dict[str, Object]:
        return {obj["id"]: obj for obj in kind.list(self.cloud())}

    def remove(self, kind: Kind, id: str) -> None:
        kind.delete(self.cloud(), id)
        self.until(lambda: kind.get(self.cloud(), id) is None)

    def until(self, done: Callable[[], object]) -> None:
        """Wait for what the cloud does in its own time."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, "the cloud takes too long"
            time.sleep(0.02)

    def bytes_of(self, id: str, size: int) -> bytes:
        """The first `size` bytes of a volume or image, as they lie on the sandbox's disk."""
        with (self.folder / "sandbox" / "bytes" / id).open("rb") as file:
            return file.read(size)
