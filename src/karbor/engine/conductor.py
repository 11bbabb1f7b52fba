"""Runs the operations that came in through the service: takes up those that nobody runs, each in its own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.delegation import Delegation
from karbor.engine.intake import end_unstarted
from karbor.engine.run import describe
from karbor.engine.worker import Engine, check_cloud
from karbor.model.errors import Fenced, KarborError, Suspended, Unclear
from karbor.store import operations, trusts
from karbor.store.sealed import Seal

LOG = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the database is looked at when nobody says that there is something new."""
LONGEST_PAUSE = 300.0
"""Seconds at most until an operation is tried again that could not be begun, or whose engine failed."""

Row = Mapping[str, Any]


class Conductor:
    """As many as there are on one database run each operation once: whoever claims it has it.

    Each operation runs with its own credential, which `connect` turns into a cloud, and with nothing else. At its end
    the credential goes from the row, and a trust that was made for this operation alone from Keystone; the trust of a
    schedule goes with the schedule. At most `limit` operations run at once here. While `enabled` says no, none is
    taken up here, and those that run go on.
    """

    def __init__(
        self, engine: Engine, connect: Callable[[Mapping[str, Any]], Cloud], *, seal: Seal, delegation: Delegation,
        limit: int = 16, enabled: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._database = engine.database
        self._connect = connect
        self._seal = seal
        self._delegation = delegation
        self._limit = limit
        self._enabled = enabled
        self._running: dict[str, threading.Thread] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # by operation: until when, and how long
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="conductor", daemon=True)

    def start(self) -> None:
        """Begin to look for operations."""
        self._looking.start()

    def wake(self) -> None:
        """Something has come in: look at once."""
        self._woken.set()

    def stop(self, seconds: float = 30.0) -> None:
        """Take nothing up any more, and leave what runs to other engines, which go on with it as after a crash.

        Returns when all threads have noticed, or after so many seconds.
        """
        deadline = clock.monotonic() + seconds
        self._stopping.set()
        self.wake()
        self._engine.leave()
        for thread in (self._looking, *list(self._running.values())):
            if thread.is_alive():
                thread.join(max(deadline - clock.monotonic(), 0.0))

    def _look(self) -> None:
        while not self._stopping.is_set():
            try:
                self._take_up()
                self._put_away()
                self._end_lost_trusts()
            except Exception:  # the database may be away for a while
                LOG.exception("looking for operations failed; it is tried again")
            self._woken.wait(POLL_SECONDS)
            self._woken.clear()

    def _take_up(self) -> None:
        due = operations.due(self._database)
        if not due or not self._enabled():
            return
        for row in due:
            if len(self._running) >= self._limit or self._stopping.is_set():
                return
            if row["id"] not in self._running and self._pauses.get(row["id"], (0.0, 0.0))[0] <= clock.monotonic():
                name = f"operation-{row['id'][:8]}"
                thread = threading.Thread(target=self._run, args=(row["id"],), name=name, daemon=True)
                self._running[row["id"]] = thread
                thread.start()

    def _run(self, id: str) -> None:
        """One operation in its thread, from its claim to where it stops."""
        try:
            row = self._engine.conduct(id, self._open)
            self._pauses.pop(id, None)
            LOG.info("operation %s (%s): %s", id, row["operation_type"], row["status"])
            self._give_up_unattended(row)
        except operations.AlreadyClaimed:
            LOG.debug("operation %s was claimed by another engine", id)
        except Fenced as error:
            LOG.info("%s", error)
        except Exception as error:
            seconds = min(2 * self._pauses.get(id, (0.0, 0.5))[1], LONGEST_PAUSE)
            self._pauses[id] = (clock.monotonic() + seconds, seconds)
            foreseen = isinstance(error, KarborError)
            LOG.log(
                logging.WARNING if foreseen else logging.ERROR,
                "operation %s could not go on and is tried again in %.0f s: %s", id, seconds, describe(error),
                exc_info=not foreseen,
            )  # fmt: skip
        finally:
            del self._running[id]
            self.wake()

    def _open(self, row: Row) -> Cloud:
        """The cloud that an operation runs in. Raises Unclear (try again), Suspended (it needs other credentials)."""
        try:
            if row["credential"] is None:
                raise KarborError("the operation has no credential any more")
            cloud = self._connect(self._seal.open(row["credential"]))
            check_cloud(row, cloud)
        except Unclear:
            raise
        except KarborError as error:
            raise Suspended(str(error), operations.NEEDS_CREDENTIALS) from error
        return cloud

    def _give_up_unattended(self, row: Row) -> None:
        """A scheduled operation that is not even let in has failed: there is nobody to ask for credentials."""
        if (
            row["status"] == operations.NEEDS_CREDENTIALS
            and row["scheduled_operation_id"] is not None
            and row["graph"] is None
        ):
            end_unstarted(self._database, row, row["error_info"])

    def _put_away(self) -> None:
        """Revoke and forget the credentials of operations that have ended or wait for a person, wherever they ran."""
        for row in operations.at_rest_with_credential(self._database):
            if row["id"] in self._running or self._stopping.is_set():
                continue
            try:
                self._revoke(row)
            except KarborError as error:
                LOG.warning("the credential of operation %s could not be revoked: %s", row["id"], error)
                if isinstance(error, Unclear):
                    continue
            operations.forget_credential(self._database, row)

    def _end_lost_trusts(self) -> None:
        """Revoke what was made for schedules that never came to be, as whoever made it died or got no answer."""
        for awaited in trusts.give_up(self._database):
            facts = {name: awaited[name] for name in ("user_id", "project_id", "expires_at")}
            try:
                for credential in self._delegation.find(**facts):
                    self._delegation.revoke(credential)
            except KarborError as error:
                LOG.warning("a trust of user %s that no schedule has stays for now: %s", awaited["user_id"], error)
            else:
                trusts.forget(self._database, awaited["id"])

    def _revoke(self, row: Row) -> None:
        credential = self._seal.open(row["credential"])
        if credential["kind"] != "trust" or operations.credential_is_shared(self._database, row):
            return
        schedule = operations.credential_of_schedule(self._database, row["scheduled_operation_id"])
        if schedule is not None and self._seal.open(schedule).get("trust_id") == credential["trust_id"]:
            return
        self._delegation.revoke(credential)
