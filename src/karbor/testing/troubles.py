"""A cloud that goes wrong at a chosen call: at the edge where real ones do, over a sandbox that works as ever."""

from __future__ import annotations

import enum
import itertools
import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import Kind, Object
from karbor.model.errors import Refused, Unclear

TIME_TO_NOTICE = 0.3
"""Seconds in which a running operation notices that it is cancelled: its journal looks every quarter of a second."""


class Failure(enum.Enum):
    """What may become of a changing call."""

    REFUSED = "it is refused"
    LATE = "it is accepted, and what it starts ends in an error"
    UNAVAILABLE = "it is not carried out, and answered with 503"
    SILENT = "it is carried out, and its answer is lost"


class Change(NamedTuple):
    """A call that changes something."""

    method: str
    service: str
    path: str
    body: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}: the test wants it so"


class Nth:
    """Picks the call with this number, counted from 0; `longer`: of those that only start what takes longer."""

    def __init__(self, number: int, *, longer: bool = False) -> None:
        self.picked = False
        self._number = number
        self._longer = longer
        self._calls = itertools.count()

    def __call__(self, change: Change | None = None) -> bool:
        ends_at_once = change is not None and (change.method != "POST" or change.service == "network")
        if (self._longer and ends_at_once) or next(self._calls) != self._number:
            return False
        self.picked = True
        return True


class FirstTimes:
    """Picks each call when it is made for the first time."""

    def __init__(self) -> None:
        self._met: set[Change] = set()
        self._guard = threading.Lock()

    def __call__(self, change: Change) -> bool:
        with self._guard:
            first = change not in self._met
            self._met.add(change)
        return first


class TroubledCloud(Cloud):
    """Nothing is wrong with it until it is told so. `fault` asks the sandbox for a fault, as `Rig.fault` does."""

    fault: Callable[..., None]
    _failure: Failure | None = None
    _fails: Callable[[Change], bool]
    _cancels: Nth | None = None
    _cancel: Callable[[], None]

    def fail(self, failure: Failure, fails: Callable[[Change], bool]) -> TroubledCloud:
        """From now on let the picked ones of the changing calls fail; itself."""
        self._failure, self._fails, self._cancels = failure, fails, None
        return self

    def cancel(self, cancels: Nth, cancel: Callable[[], None]) -> TroubledCloud:
        """Call `cancel` during the picked one of the shared reads, in which hooks wait, and nothing else; itself."""
        self._failure, self._cancels, self._cancel = None, cancels, cancel
        return self

    def send(self, method: str, service: str, path: str, **call: Any) -> Any:
        change = Change(method, service, path, str(call.get("json")))
        if method == "GET" or self._failure is None or not self._fails(change):
            return super().send(method, service, path, **call)
        if self._failure is Failure.REFUSED:
            raise Refused(str(change), 400)
        if self._failure is Failure.UNAVAILABLE:
            raise Unclear(str(change), 503)
        if self._failure is Failure.LATE:
            self.fault(action="late_error", service=service, method=method, path=re.escape(path))
        answer = super().send(method, service, path, **call)
        if self._failure is Failure.SILENT and answer.status_code < 300:
            raise Unclear(str(change))
        return answer

    def read(self, kind: Kind, id: str) -> Object | None:
        if self._cancels is not None and self._cancels():
            self._cancel()
            clock.sleep(TIME_TO_NOTICE)
        return super().read(kind, id)
