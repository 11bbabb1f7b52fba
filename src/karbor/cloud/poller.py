"""Reads shared by all who wait: few waiters are asked for one by one, many by one listing that answers for all."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from karbor.cloud.kind import Kind, Object
from karbor.model.errors import CloudError

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

ONE_BY_ONE = 4
"""Up to so many objects single requests are cheaper than any listing."""
LISTED_FOR_ONE = 10
"""So many entries of a listing cost a service about as much as one single request."""

Batch = dict[str, "Future[Object | None]"]


class Reads:
    """Answers `read(kind, id)` of many threads with few requests, without a thread of its own.

    Reads that begin while requests for the same kind are under way form a batch, which is answered by the next
    round of requests; the first reader of a batch makes them for all. A round makes no more requests than it has
    readers (one more where a listing shows none of what they ask for).
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._open: dict[str, Batch] = {}
        """For each kind the batch that still takes readers."""
        self._rounds: dict[str, threading.Lock] = {}
        self._listed: dict[str, int] = {}
        """For each kind how many objects its last listing had."""

    def read(self, kind: Kind, id: str) -> Object | None:
        """The object as it was at some moment after this call began, or None when it was gone. Raises CloudError."""
        with self._lock:
            round_ = self._rounds.setdefault(kind.name, threading.Lock())
            leads = kind.name not in self._open
            batch = self._open.setdefault(kind.name, {})
            answer = batch.setdefault(id, Future())
        if leads:
            with round_:
                with self._lock:
                    del self._open[kind.name]
                self._answer(kind, batch)
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
