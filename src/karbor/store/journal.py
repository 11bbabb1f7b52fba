"""The durable memory of one running operation: what was intended, made, done, chosen and kept, in order.

All threads of an operation write here; one thread commits, in groups and in the order of writing, and every
commit checks that this engine still owns the operation. What was written before is durable before what was
written after, so only intents have to be waited for.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from karbor import clock
from karbor.model.errors import Fenced, KarborError, Suspended
from karbor.model.resource import Ref
from karbor.store import schema
from karbor.store.database import again, reading, upsert
from karbor.store.database import clock as database_clock

LEASE_SECONDS = 150.0
"""So long after its last commit an engine keeps its claim: any call to a cloud that it has begun by then has ended."""
RENEW_SECONDS = 10.0
_LOOK_SECONDS = 0.25

Name = tuple[int, str, str, str, str, str]
"""What an entry is about: node, verb, kind, old type, old id, key."""

Also = Callable[[sa.Connection], None]
"""Writes rows that are not the operation's own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal.

    `state` of a make or act: intent, made or done, failed, removed; again, where it is to be done anew.
    """

    node: int
    hook: int
    verb: str
    kind: str = ""
    old_type: str = ""
    old_id: str = ""
    key: str = ""
    attempt: int = 0
    temporary: bool = False
    state: str = ""
    value: Any = field(default_factory=dict)
    at: str = ""
    seq: int = -1

    @property
    def name(self) -> Name:
        return (self.node, self.verb, self.kind, self.old_type, self.old_id, self.key)


class _Item(NamedTuple):
    """What the writing thread is handed: a row of `table`, or changes of the operation's own row."""

    table: sa.Table | None
    row: dict[str, Any]
    waiter: Future[None] | None = None
    also: Also | None = None
    stop: bool = False


class Journal:
    """The open journal of an operation that this engine has claimed.

    `observer(point)`, for tests, is called with `before` and `after` around each commit and may raise a
    BaseException: from then on every thread that touches the journal gets it, as if the process had died.
    """

    def __init__(
        self, database: sa.Engine, operation_id: str, epoch: int, observer: Callable[[str], None] | None = None
    ) -> None:
        self.operation_id = operation_id
        self.cancelled = threading.Event()
        """Set when a person asked for the operation's end."""
        self.commits = 0
        self._database = database
        self._epoch = epoch
        self._observer = observer
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._entries: dict[Name, Entry] = {}
        self._of_node: dict[int, list[Name]] = {}
        self._of_old: dict[tuple[str, str], list[Name]] = {}
        self._hooks: dict[tuple[int, int], dict[str, Any]] = {}
        self._results: dict[int, dict[str, Any]] = {}
        self._dead: BaseException | None = None
        self._leased_until = 0.0  # on this process's clock
        self._read()
        self._seq = max((entry.seq for entry in self._entries.values()), default=-1) + 1
        self._writer = threading.Thread(target=self._write, name=f"journal-{operation_id[:8]}", daemon=True)
        self._writer.start()

    def _read(self) -> None:
        with reading(self._database) as connection:
            for row in connection.execute(
                sa.select(schema.journal)
                .where(schema.journal.c.operation_id == self.operation_id)
                .order_by(schema.journal.c.seq)
            ).mappings():
                entry = Entry(**{key: row[key] for key in Entry.__dataclass_fields__})
                self._keep(entry)
            for table, index in ((schema.hooks, self._hooks), (schema.results, self._results)):
                for row in connection.execute(
                    sa.select(table).where(table.c.operation_id == self.operation_id)
                ).mappings():
                    key = (row["node"], row["hook"]) if table is schema.hooks else row["node"]
                    index[key] = dict(row)  # type: ignore[index]

    def _keep(self, entry: Entry) -> None:
        if entry.name not in self._entries:
            self._of_node.setdefault(entry.node, []).append(entry.name)
            if entry.verb in ("make", "use"):
                self._of_old.setdefault((entry.old_type, entry.old_id), []).append(entry.name)
        self._entries[entry.name] = entry

    def entry(self, name: Name) -> Entry | None:
        return self._entries.get(name)

    def of_node(self, node: int, verb: str | None = None) -> list[Entry]:
        """A resource's entries in the order of their first writing."""
        with self._lock:
            found = [self._entries[name] for name in self._of_node.get(node, ())]
        return [entry for entry in found if verb is None or entry.verb == verb]

    def became(self, old: Ref) -> list[Entry]:
        """What was made for `old` (and has an id), or is used in its place; the last one first."""
        with self._lock:
            found = [self._entries[name] for name in self._of_old.get((old.type, old.id), ())]
        return [entry for entry in reversed(found) if entry.value.get("id") and "reason" not in entry.value]

    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries.values())

    def put(self, entry: Entry, *, durable: bool = False) -> Entry:
        """Write a new entry or a changed one; with `durable`, return only when it is committed."""
        with self._lock:
            if entry.seq < 0:
                entry = replace(entry, seq=self._seq, at=clock.now())
                self._seq += 1
            self._keep(entry)
            waiter = self._send(schema.journal, asdict(entry), durable=durable)
        if waiter is not None:
            waiter.result()
        return entry

    def hook(self, node: int, hook: int) -> dict[str, Any] | None:
        return self._hooks.get((node, hook))

    def hooks(self) -> dict[tuple[int, int], dict[str, Any]]:
        return dict(self._hooks)

    def put_hook(
        self,
        node: int,
        hook: int,
        state: str,
        *,
        started_at: str | None = None,
        reason: str = "",
        durable: bool = False,
    ) -> None:
        """Write how far a hook is; `ended_at` is now unless it has just started."""
        row = {
            "node": node, "hook": hook, "state": state, "reason": reason,
            "started_at": started_at, "ended_at": None if state == "started" else clock.now(),
        }  # fmt: skip
        with self._lock:
            self._hooks[(node, hook)] = row
            waiter = self._send(schema.hooks, row, durable=durable)
        if waiter is not None:
            waiter.result()

    def results(self) -> dict[int, dict[str, Any]]:
        return dict(self._results)

    def put_result(self, node: int, **changes: Any) -> None:
        """Write a resource's outcome or progress."""
        with self._lock:
            old = self._results.get(node, {"node": node, "status": "", "reason": "", "done": 0, "total": 0, "unit": ""})
            self._results[node] = row = {**old, **changes}
            self._send(schema.results, row)

    def update_operation(self, *, also: Also | None = None, **changes: Any) -> None:
        """Change the operation's own row under the same check of ownership; durable when it returns.

        `also` writes other rows in the same transaction, which may be tried more than once.
        """
        with self._lock:
            waiter = self._send(None, changes, durable=True, also=also)
        assert waiter is not None
        waiter.result()

    def flush(self) -> None:
        """Return when all that was written is durable: to be called before a mark is removed from the world."""
        self.update_operation()

    def stop(self, error: BaseException) -> None:
        """Commit what was written so far; from then on every thread that touches the journal gets `error`."""
        with suppress(KarborError, Fenced, Suspended):  # it may have ended before, which is no news
            self.flush()
        with self._lock:
            self._dead = self._dead or error
        self.cancelled.set()

    def check(self) -> None:
        """Raise what ended this journal, if anything did."""
        if self._dead is not None:
            raise self._dead

    def hold(self, seconds: float) -> None:
        """Return when nobody else can take this operation over for so many seconds: at once while its lease is young.

        Raises what ended this journal, which is Fenced where somebody has taken it over already.
        """
        assert seconds < LEASE_SECONDS, "no lease is as long as that"
        self.check()
        while clock.monotonic() > self._leased_until - seconds:
            self.flush()

    def close(self) -> None:
        """Commit what is left, give the operation's claim up and stop the writing thread."""
        if self._dead is None:
            self.update_operation(lease_until=0.0, owner=None)
        self._queue.put(_Item(None, {}, stop=True))
        self._writer.join()

    def _send(
        self, table: sa.Table | None, row: dict[str, Any], *, durable: bool = False, also: Also | None = None
    ) -> Future[None] | None:
        self.check()
        waiter: Future[None] | None = Future() if durable else None
        row = row if table is None else {**row, "operation_id": self.operation_id}
        self._queue.put(_Item(table, row, waiter, also))
        return waiter

    def _write(self) -> None:
        """The writing thread: commits whatever has gathered, renews the lease, watches for a cancel."""
        renewed = looked = clock.monotonic()
        stop = False
        while not stop:
            batch = self._gather()
            stop = any(item.stop for item in batch)
            try:
                if (batch and not stop) or clock.monotonic() - renewed > RENEW_SECONDS:
                    self._commit(batch)
                    renewed = clock.monotonic()
                if not stop and clock.monotonic() - looked >= _LOOK_SECONDS:  # also where there is always work
                    self._look_for_cancel()
                    looked = clock.monotonic()
            except BaseException as error:  # noqa: BLE001 - whatever ends this thread must end every thread of the operation
                self._die(error, batch)
                return
            for item in batch:
                if item.waiter is not None:
                    item.waiter.set_result(None)

    def _gather(self) -> list[_Item]:
        batch = []
        try:
            batch.append(self._queue.get(timeout=_LOOK_SECONDS))
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _commit(self, batch: list[_Item]) -> None:
        if self._observer is not None:
            self._observer("before")
        changes: dict[str, Any] = {"lease_until": database_clock(self._database) + LEASE_SECONDS}
        rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {"journal": {}, "hooks": {}, "results": {}}
        for table, row, *_ in batch:
            if table is None:
                changes |= row
            else:  # the last word on a row is enough
                rows[table.name][tuple(row[column.name] for column in table.primary_key)] = row
        written = {name: list(found.values()) for name, found in rows.items() if found}
        also = [item.also for item in batch if item.also is not None]
        again(lambda: self._write_rows(changes, written, also))
        self.commits += 1
        if self._observer is not None:
            self._observer("after")

    def _write_rows(self, changes: dict[str, Any], rows: dict[str, list[dict[str, Any]]], also: list[Also]) -> None:
        """One transaction: nothing is written where the operation is this engine's no more."""
        mine = (schema.operations.c.id == self.operation_id) & (schema.operations.c.epoch == self._epoch)
        began = clock.monotonic()  # before the database reads its own clock
        with self._database.begin() as connection:
            if connection.execute(sa.update(schema.operations).where(mine).values(changes)).rowcount != 1:
                raise Fenced(f"operation {self.operation_id} has been taken over by another engine")
            for name, found in rows.items():
                upsert(connection, schema.metadata.tables[name], found)
            for write in also:
                write(connection)
        self._leased_until = began + LEASE_SECONDS

    def _look_for_cancel(self) -> None:
        with reading(self._database) as connection:
            asked = connection.execute(
                sa.select(schema.operations.c.cancel).where(schema.operations.c.id == self.operation_id)
            ).scalar()
        if asked:
            self.cancelled.set()

    def _die(self, error: BaseException, batch: list[_Item]) -> None:
        if isinstance(error, sa.exc.SQLAlchemyError):
            error = KarborError(
                f"the journal of operation {self.operation_id} cannot be written: {error}; the operation can be resumed"
            )
        with self._lock:
            self._dead = error
        self.cancelled.set()  # wakes those that wait; they find the journal dead
        while not self._queue.empty():
            batch.append(self._queue.get_nowait())
        for item in batch:
            if item.waiter is not None and not item.waiter.done():
                item.waiter.set_exception(error)
