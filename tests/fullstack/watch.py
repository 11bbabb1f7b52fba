"""Watches what Cinder says of volumes and Glance of images while something else goes on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

from karbor import clock
from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE

PAUSE = 0.3


class Sighting(NamedTuple):
    """A status that a service told; it was so at `moment` (UTC, as `clock.now` writes it) or later."""

    moment: str
    id: str
    status: str


class StatusWatch:
    """Looks at all volumes and images of the project, again and again, from `with` to its end."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._end = threading.Event()
        self._watcher = ThreadPoolExecutor(1)
        self.sightings: list[Sighting] = []

    def __enter__(self) -> StatusWatch:
        self._watching = self._watcher.submit(self._watch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._watcher.shutdown()
        if error is None:
            self._watching.result()

    def unfinished(self, id: str, *statuses: str) -> list[str]:
        """The moments at which a thing was seen in one of these statuses."""
        return [seen.moment for seen in self.sightings if seen.id == id and seen.status in statuses]

    def finished(self, id: str, *statuses: str) -> bool:
        """Whether the last status that was seen is one of these."""
        return [seen.status for seen in self.sightings if seen.id == id][-1] in statuses

    def _watch(self) -> None:
        while not self._end.wait(PAUSE):
            for kind in (VOLUME, IMAGE):
                moment = clock.now()
                found = [(str(obj["id"]), kind.state(obj)) for obj in kind.list(self._cloud)]
                self.sightings += [Sighting(moment, id, status) for id, status in found]
