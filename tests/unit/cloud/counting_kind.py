"""A kind of objects in memory that counts the requests it gets and can hold them up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from karbor.cloud.kind import Kind, Object


class CountingKind(Kind):
    """`listed` objects show in a listing, `unlisted` ones only when asked for themselves."""

    name = "counted"
    type = "OS::Test::Counted"
    service = "nowhere"

    def __init__(self, listed: dict[str, Object], unlisted: dict[str, Object] | None = None) -> None:
        super().__init__()
        self.listed = listed
        self.unlisted = unlisted or {}
        self.gets: list[str] = []
        self.lists = 0
        self.passing = threading.Event()
        self.passing.set()
        self.error: Exception | None = None
        self.alone = threading.Lock()

    @property
    def requests(self) -> int:
        return len(self.gets) + self.lists

    def request(self) -> None:
        assert self.alone.acquire(blocking=False), "two requests for one kind at once"
        try:
            assert self.passing.wait(20)
            if self.error:
                raise self.error
        finally:
            self.alone.release()

    def get(self, cloud: Any, id: str) -> Object | None:
        self.gets.append(id)
        self.request()
        return self.listed.get(id) or self.unlisted.get(id)

    def list(self, cloud: Any) -> Iterator[Object]:
        self.lists += 1
        self.request()
        yield from list(self.listed.values())


def things(prefix: str, count: int) -> dict[str, Object]:
    return {f"{prefix}{number}": {"id": f"{prefix}{number}"} for number in range(count)}
