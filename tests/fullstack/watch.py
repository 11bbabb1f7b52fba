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
    """A status that a service told of a thing: it was so at some moment from `asked` to `answered` (as `clock.now`)."""

    asked: str
    answered: str
    id: str
    status: str


class StatusWatch:
    """Looks at all volumes and images of the project, again and again, from `with` to its end, and once more then."""

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

    def before(self, moment: str, id: str) -> set[str]:
        """The statuses in which a thing was before this moment, but for those that no look met."""
        return {seen.status for seen in self.sightings if seen.id == id and seen.answered < moment}

    def since(self, moment: str, id: str) -> set[str]:
        """The statuses in which a thing was at this moment or after it."""
        return {seen.status for seen in self.sightings if seen.id == id and seen.asked >= moment}

    def _watch(self) -> None:
        while not self._end.wait(PAUSE):
            self._look()
        self._look()

    def _look(self) -> None:
        for kind in (VOLUME, IMAGE):
            asked = clock.now()
            found = [(str(obj["id"]), kind.state(obj)) for obj in kind.list(self._cloud)]
            answered = clock.now()
            self.sightings += [Sighting(asked, answered, id, status) for id, status in found]
