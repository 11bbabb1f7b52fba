"""All that the sandbox cloud knows: objects, timers and counters, in memory and written through to one SQLite file."""

from __future__ import annotations

import datetime
import fcntl
import heapq
import inspect
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from karbor.sandbox.quotas import DEFAULT_QUOTAS

Object = dict[str, Any]
Job = Callable[..., None]

FLUSH_SECONDS = 0.05

JOBS: dict[str, tuple[Job, bool]] = {}
SEEDS: list[Callable[[State], None]] = []


class AlreadyRunning(Exception):
    """Another sandbox uses this folder."""


def job(name: str) -> Callable[[Job], Job]:
    """Register what `State.later(seconds, name, **kwargs)` runs: a function of (state, **kwargs).

    A job that has a parameter `error` gets `error=True` when a fault "late_error" hit the request that asked for it.
    """

    def register(function: Job) -> Job:
        JOBS[name] = (function, "error" in inspect.signature(function).parameters)
        return function

    return register


def seed(function: Callable[[State], None]) -> Callable[[State], None]:
    """Register what puts a service's first objects into a new, empty cloud. Runs once in the life of a folder."""
    SEEDS.append(function)
    return function


def is_used(folder: Path) -> bool:
    """Whether a State is open on the folder, in whatever process."""
    try:
        guard = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(guard, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(guard)
    return False


def new_id() -> str:
    """A random UUID in its usual 36 characters."""
    return str(uuid.uuid4())


class State:
    """All objects of the cloud. Whoever reads or changes them holds `lock`; request handlers and jobs already do.

    `folder` holds `state.db` and `bytes/`; `delay` is the time in seconds that one asynchronous step takes, 0 for
    "done before the next request sees it".
    """

    def __init__(self, folder: Path, delay: float = 0.0) -> None:
        self.folder = folder
        self.delay = delay
        self.lock = threading.RLock()
        self.fate: str | None = None
        self._tables: dict[str, dict[str, Object]] = {}
        self._changed: dict[tuple[str, str], None] = {}  # in the order of the changes: listings keep it over a restart
        self._due: list[tuple[float, int]] = []
        self._stopping = threading.Event()
        (folder / "bytes").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._guard = self._take_folder()
        self._database = self._open_database()
        self._load()
        if not self._tables.get("project"):
            for plant in SEEDS:
                plant(self)
        self._ticker = threading.Thread(target=self._tick, name="sandbox-ticker", daemon=True)
        self._ticker.start()

    def table(self, kind: str) -> dict[str, Object]:
        """The objects of one kind, by id. Change an object, then `save` it."""
        return self._tables.setdefault(kind, {})

    def tables(self) -> dict[str, dict[str, Object]]:
        """All objects by kind, then by id."""
        return self._tables

    def save(self, kind: str, obj: Object) -> None:
        """Keep `obj` under its `id`; on disk within FLUSH_SECONDS, at the latest when the state is closed."""
        self.table(kind)[obj["id"]] = obj
        self._changed[kind, obj["id"]] = None

    def drop(self, kind: str, id: str) -> None:
        """Forget an object; one that is not there is fine."""
        if self.table(kind).pop(id, None) is not None:
            self._changed[kind, id] = None

    def later(self, seconds: float | None, job: str, /, **kwargs: Any) -> None:
        """Run a registered job in `seconds` (None: `delay`) from now, also after a restart.

        Under the faults "stuck" and "half_made" nothing is: the object never leaves its transitional state.
        """
        if self.fate in ("stuck", "half_made"):
            return
        if self.fate == "late_error" and JOBS[job][1]:
            kwargs["error"] = True
        number = self._next_timer
        self._next_timer += 1
        due = time.time() + (self.delay if seconds is None else seconds)
        self.save("timer", {"id": str(number), "due": due, "job": job, "kwargs": kwargs})
        heapq.heappush(self._due, (due, number))

    def run_due(self) -> None:
        """Run the jobs whose time has come, in the order of their times, and those that they ask for at once."""
        while self._due and self._due[0][0] <= time.time():
            number = heapq.heappop(self._due)[1]
            timer = self.table("timer").get(str(number))
            if timer is not None:
                self.drop("timer", timer["id"])
                JOBS[timer["job"]][0](self, **timer["kwargs"])

    def timers(self, job: str) -> Iterator[Object]:
        """The waiting timers of one job; dropping one from table "timer" cancels it."""
        return iter([timer for timer in self.table("timer").values() if timer["job"] == job])

    def count(self, kind: str, name: str | None = None) -> None:
        """Note that one more object of this kind (and name) was created; never goes down."""
        for key in (kind,) if name is None else (kind, f"{kind}/{name}"):
            counter = self.table("count").get(key) or {"id": key, "creates": 0}
            counter["creates"] += 1
            self.save("count", counter)

    def quota(self, project: str, service: str) -> dict[str, int]:
        """The limits of a project in one service ("compute", "volume", "network", "image"); -1 is without limit."""
        own = self.table("quota").get(f"{project}/{service}", {"limits": {}})
        return {**DEFAULT_QUOTAS[service], **own["limits"]}

    def now(self) -> str:
        """The time in UTC as ISO 8601 with microseconds and without a zone."""
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")

    def bytes_of(self, id: str) -> Path:
        """The file that holds the bytes of a volume, snapshot, backup, image or own disk."""
        return self.folder / "bytes" / id

    def close(self) -> None:
        """Write what is unwritten and let the folder go."""
        self._stopping.set()
        self._ticker.join()
        self._flush()
        self._database.close()
        os.close(self._guard)

    def _take_folder(self) -> int:
        guard = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(guard)
            text = f"a sandbox already runs on {self.folder}; stop it first or take another folder"
            raise AlreadyRunning(text) from None
        return guard

    def _open_database(self) -> sqlite3.Connection:
        path = self.folder / "state.db"
        path.touch(mode=0o600)
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("CREATE TABLE IF NOT EXISTS object (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id))")
        return database

    def _load(self) -> None:
        for kind, id, body in self._database.execute("SELECT kind, id, body FROM object ORDER BY rowid"):
            self.table(kind)[id] = json.loads(body)
        timers = self.table("timer")
        self._due = [(timer["due"], int(timer["id"])) for timer in timers.values()]
        heapq.heapify(self._due)
        self._next_timer = max((int(id) for id in timers), default=0) + 1

    def _tick(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            with self.lock:
                self.run_due()
            self._flush()

    def _flush(self) -> None:
        with self.lock:
            changed, self._changed = self._changed, {}
            kept, gone = [], []
            for kind, id in changed:
                obj = self.table(kind).get(id)
                if obj is None:
                    gone.append((kind, id))
                else:
                    kept.append((kind, id, json.dumps(obj)))
        if changed:
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT INTO object VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body", kept
            )
            self._database.executemany("DELETE FROM object WHERE kind = ? AND id = ?", gone)
            self._database.execute("COMMIT")
