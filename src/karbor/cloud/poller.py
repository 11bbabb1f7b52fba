"""Reads shared by all who wait: few waiters are asked for one by one, many by one listing that answers for all."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from karbor import clock
from karbor.cloud.kind import Kind, Object
from karbor.model.errors import CloudError

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

ONE_BY_ONE = 2
"""Up to so many objects single requests are no dearer than a listing; Nova asks Neutron twice for either."""
LISTED_FOR_ONE = 10
"""So many entries of a listing cost a service about as much as one single request."""
GATHERING = 4
"""A round that many may join lets them come for one part in so many of the time that the last one took,"""
LONGEST_GATHERING = 0.1
"""but not for more seconds than this."""

Batch = dict[str, "Future[Object | None]"]


class Reads:
    """Answers `read(kind, id)` of many threads with few requests, without a thread of its own.

    Reads that begin while requests for the same kind are under way form a batch, which is answered by the next
    round of requests; the first reader of a batch makes them for all. Those who wait look at the same moments, but no
    thread wakes at the very same: after a round that many shared, the first one lets the others come. A round makes no
    more requests than it has readers (one more where a listing shows none of what they ask for).
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._open: dict[str, Batch] = {}
        """For each kind the batch that still takes readers."""
        self._rounds: dict[str, threading.Lock] = {}
        self._listed: dict[str, int] = {}
        """For each kind how many objects its last listing had."""
        self._gathering: dict[str, float] = {}
        """For each kind the seconds in which the next round lets others join it."""

    def read(self, kind: Kind, id: str) -> Object | None:
        """The object as it was at some moment after this call began, or None when it was gone. Raises CloudError."""
        with self._lock:
            round_ = self._rounds.setdefault(kind.name, threading.Lock())
            leads = kind.name not in self._open
            batch = self._open.setdefault(kind.name, {})
            answer = batch.setdefault(id, Future())
        if leads:
            with round_:
                clock.sleep(self._gathering.get(kind.name, 0.0))
                with self._lock:
                    del self._open[kind.name]
                began = clock.monotonic()
                self._answer(kind, batch)
                took = clock.monotonic() - began if len(batch) > ONE_BY_ONE else 0.0
                self._gathering[kind.name] = min(took / GATHERING, LONGEST_GATHERING)
        return answer.result()

    def _answer(self, kind: Kind, batch: Batch) -> None:
        """Ask the cloud for a whole batch; nobody is left waiting, whatever that raises."""
        try:
            found: dict[str, Object] = {}
            if len(batch) > max(ONE_BY_ONE, self._listed.get(kind.name, 0) // LISTED_FOR_ONE):
                found = {str(obj["id"]): obj for obj in kind.list(self._cloud)}
                self._listed[kind.name] = len(found)
            for asked, answer in batch.items():
                # What a listing lacks may be new, or visible without being the project's: ask for itself.
                try:
                    answer.set_result(found.get(asked) or kind.get(self._cloud, asked))
                except CloudError as error:
                    answer.set_exception(error)
        except BaseException as error:
            for answer in batch.values():
                if not answer.done():
                    answer.set_exception(error)
            raise
