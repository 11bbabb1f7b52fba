"""The engine: takes a command's operations in as rows, claims operations and brings each to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.banks.archive import CheckpointEntry, NoSuchCheckpoint
from karbor.cloud.connection import Cloud
from karbor.engine.copy import Copy
from karbor.engine.delete import Delete
from karbor.engine.events import tell_rest
from karbor.engine.intake import (
    CANCELLED,
    add_protect,
    check_deletable,
    delete_request,
    end_unstarted,
    provider_of,
    restore_request,
    rollback_of,
)
from karbor.engine.outline import Outline
from karbor.engine.protect import Protect, row_of
from karbor.engine.request import check_options
from karbor.engine.restore import Restore, RestoreRequest, check_whole, outline_of
from karbor.engine.run import describe
from karbor.engine.scope import Settings
from karbor.engine.undertaking import Undertaking
from karbor.engine.verify import Verify
from karbor.model.errors import BankCorrupt, FormatTooNew, Invalid, KarborError, NotFound, Suspended
from karbor.model.resource import Ref, ResourceGraph
from karbor.notifier import Notify, silence
from karbor.providers import Provider
from karbor.store import checkpoints, operations
from karbor.store.database import reading
from karbor.store.journal import Journal

VERBS: Mapping[str, type[Undertaking]] = {verb.verb: verb for verb in (Protect, Restore, Verify, Delete, Copy)}
Row = Mapping[str, Any]
TRIES = 5
"""How often an operation of the service may meet an error that nobody foresaw before it waits for a person."""


class Engine:
    """Operations of one state folder or service, run by this process.

    `notify` tells other services what has ended; `observer` is for tests: see `store.journal.Journal`.
    """

    def __init__(
        self,
        database: sa.Engine,
        providers: Mapping[str, Provider],
        settings: Settings | None = None,
        observer: Callable[[str], None] | None = None,
        notify: Notify = silence,
    ) -> None:
        self.database = database
        self.providers = providers
        self.settings = settings or Settings()
        self._observer = observer
        self._notify = notify
        self._journals: set[Journal] = set()
        self._leaving: Suspended | None = None

    def start_protect(
        self,
        cloud: Cloud,
        provider: Provider,
        graph: ResourceGraph,
        *,
        name: str = "",
        parameters: Mapping[str, Any] | None = None,
        extra_info: Mapping[str, Any] | None = None,
        runner: str = "command",
    ) -> str:
        """Take in the protection of a discovered application; the operation's id.

        Raises Invalid, before anything is written, when a plug-in is missing or an option is wrong.
        """
        check_options("protect", provider, graph.resources, parameters or {})
        provider.archive.claim()  # a bank that cannot be used is known now
        plan = {
            "id": clock.new_id(),
            "name": name or ", ".join(graph.resources[ref].name for ref in graph.named)[:255],
            "provider_id": provider.id,
            "resources": [
                {"type": ref.type, "id": ref.id, "name": graph.resources[ref].name} for ref in sorted(graph.named)
            ],
        }
        with self.database.begin() as connection:
            return add_protect(
                connection, plan, parameters or {}, extra_info or {}, graph.to_json(),
                **_common(cloud, provider, runner),
            )  # fmt: skip

    def start_restore(
        self,
        cloud: Cloud,
        checkpoint_id: str,
        *,
        resources: Iterable[Ref] = (),
        parameters: Mapping[str, Any] | None = None,
        surroundings: str = "auto",
        on_failure: str = "rollback",
        runner: str = "command",
    ) -> str:
        """Take in a restore into `cloud`; the operation's id. Raises Invalid or NotFound before anything is written."""
        row, provider, request = self._restore_request(checkpoint_id, resources, parameters, surroundings)
        request["on_failure"] = on_failure
        with self.database.begin() as connection:
            return operations.add(
                connection, operation_type="restore", status=operations.STARTED["restore"], checkpoint_id=row["id"],
                request=request, **_common(cloud, provider, runner),
            )  # fmt: skip

    def outline(
        self,
        cloud: Cloud,
        checkpoint_id: str,
        *,
        resources: Iterable[Ref] = (),
        parameters: Mapping[str, Any] | None = None,
        surroundings: str = "auto",
    ) -> tuple[ResourceGraph, Outline]:
        """What such a restore would do, and the graph that the outline's nodes are positions in; writes nothing."""
        checkpoint, provider, request = self._restore_request(checkpoint_id, resources, parameters, surroundings)
        row = {
            "id": clock.new_id(),
            "project_id": cloud.project_id,
            "checkpoint_id": checkpoint["id"],
            "request": request,
        }
        return outline_of(RestoreRequest(row, cloud, provider, self.settings))

    def start(self, verb: str, cloud: Cloud, checkpoint_id: str, *, runner: str = "command", **request: Any) -> str:
        """Take in a verification or deletion of one of the project's own checkpoints; the operation's id."""
        row = checkpoints.get(self.database, checkpoint_id, project_id=cloud.project_id)
        provider = provider_of(self.providers, row)
        if verb == "verify" and row["status"] != "available":
            raise Invalid(f"checkpoint {checkpoint_id} is {row['status']}; only an available one can be verified")
        if verb == "delete":
            with reading(self.database) as connection:
                check_deletable(connection, row)
            request |= delete_request(row)
        provider.archive.bank_id()  # an unreadable bank is known now
        parameters = request.get("parameters", {})
        if verb == "verify" or parameters:
            graph = provider.archive.read_graph(row["project_id"], checkpoint_id)
            check_options(verb, provider, graph.resources, parameters)
        with self.database.begin() as connection:
            return operations.add(
                connection, operation_type=verb, status=operations.STARTED[verb], checkpoint_id=row["id"],
                request=request, **_common(cloud, provider, runner),
            )  # fmt: skip

    def run(self, id: str, cloud: Cloud) -> Row:
        """Claim an operation and bring it to its end, or to where a person has to decide; its row then.

        Raises KarborError when another process runs it, when it has ended, or when `cloud` is another project's.
        """
        check_cloud(operations.get(self.database, id), cloud)
        return self.conduct(id, lambda _row: cloud)

    def conduct(self, id: str, connect: Callable[[Row], Cloud]) -> Row:
        """As `run`, with the cloud that `connect` opens for the operation's row once the operation is claimed.

        What `connect` raises gives the claim up and is raised again; Suspended is what the row says from then on.
        """
        row, cloud = self._run_one(id, connect)
        if cloud is not None and row["runner"] == "command":
            self._run_released(cloud)
        return row

    def leave(self) -> None:
        """Stop everything that runs, where it stands; another engine may go on with it at once."""
        self._leaving = Suspended("this engine is being stopped")
        for journal in list(self._journals):
            journal.stop(self._leaving)

    def _run_one(self, id: str, connect: Callable[[Row], Cloud]) -> tuple[Row, Cloud | None]:
        instance = clock.new_id()
        epoch = operations.claim(self.database, id, instance)
        cloud = None
        try:
            if not self._end_cancelled(id, epoch):
                row = operations.get(self.database, id)
                provider = provider_of(self.providers, row)
                cloud = connect(row)
                self._carry_out(row, epoch, cloud, provider)
        except Suspended as stopped:
            if not self._end_cancelled(id, epoch):
                changes = {"status": stopped.status, "error_info": str(stopped)} if stopped.status else {}
                operations.release(self.database, id, epoch, **changes)
        except NotFound as error:  # its provider
            self._give_up(id, epoch, describe(error), begins=False)
            raise
        except (KarborError, sa.exc.OperationalError) as error:
            if not self._end_cancelled(id, epoch):
                if cloud is None or not isinstance(error, KarborError):  # else the row says what it has to already
                    operations.release(self.database, id, epoch, error_info=describe(error))
                raise
        except Exception as error:
            self._give_up(id, epoch, describe(error))
            raise
        finally:
            operations.INSTANCES.discard(instance)
        row = operations.get(self.database, id)
        tell_rest(self._notify, row)
        return row, cloud

    def _end_cancelled(self, id: str, epoch: int) -> bool:
        """End an operation that is cancelled before it has begun: for that no provider and no login is needed."""
        row = operations.get(self.database, id)
        if row["epoch"] != epoch or row["phase"] != "forward" or row["graph"] is not None or not row["cancel"]:
            return False
        return end_unstarted(self.database, row, CANCELLED)

    def _give_up(self, id: str, epoch: int, reason: str, *, begins: bool = True) -> None:
        """Give up a claim for a reason that nobody foresaw; for good, until a person decides, after a few times.

        What has not begun then, and is a schedule's or never `begins`, has failed.
        """
        row = operations.get(self.database, id)
        if row["epoch"] != epoch:
            return  # another engine has it by now
        changes: dict[str, Any] = {"tries": row["tries"] + 1, "error_info": reason}
        if changes["tries"] < TRIES or row["runner"] != "service":
            operations.release(self.database, id, epoch, **changes)
            return
        reason = f"given up after {TRIES} tries: {reason}"
        if row["graph"] is None and (row["scheduled_operation_id"] is not None or not begins):
            end_unstarted(self.database, row, reason)
        else:
            status = VERBS[row["operation_type"]].fail_status
            operations.release(self.database, id, epoch, **{**changes, "status": status, "error_info": reason})
        tell_rest(self._notify, operations.get(self.database, id))

    def _carry_out(self, row: Row, epoch: int, cloud: Cloud, provider: Provider) -> None:
        journal = Journal(self.database, row["id"], epoch, self._observer)
        self._journals.add(journal)
        try:
            if self._leaving is not None:
                journal.stop(self._leaving)
            if row["cancel"] and row["phase"] == "forward":
                journal.cancelled.set()
            cloud = cloud.guarded(journal.hold)
            if not row["cloud"]["project_id"]:
                journal.update_operation(cloud=_place(cloud))
            VERBS[row["operation_type"]](self.database, row, cloud, provider, self.settings, journal).run()
        finally:
            self._journals.discard(journal)
            journal.close()

    def roll_back(self, id: str, cloud: Cloud) -> Row:
        """Take back an operation that has not ended, or a restore that has ended well; its row then."""
        row = operations.get(self.database, id)
        check_cloud(row, cloud)
        changes = rollback_of(row)
        if row["graph"] is None:
            end_unstarted(self.database, row, "rolled back")
            return operations.get(self.database, id)
        if changes:
            operations.update(self.database, id, **changes)
        return self.run(id, cloud)

    def import_checkpoints(
        self, provider: Provider, project_id: str | None = None
    ) -> tuple[list[Row], list[CheckpointEntry]]:
        """Make the rows of all finished checkpoints of a provider's bank again, from the bank alone.

        The rows, and what is no checkpoint any more because it is damaged.
        """
        found, damaged = [], []
        for entry in provider.archive.checkpoints(project_id):
            if entry.state == "attempt":
                continue
            try:
                manifest = provider.archive.read_manifest(entry.project_id, entry.checkpoint_id)
            except NoSuchCheckpoint:
                continue  # a deletion that was all but over
            except (BankCorrupt, FormatTooNew) as error:
                damaged.append(entry._replace(state="unreadable", why=str(error)))
                continue
            status = "deleting" if entry.state == "deleting" else None
            row = row_of(manifest, status, stored=provider.archive.stored_bytes(manifest))
            with self.database.begin() as connection:
                checkpoints.put(connection, row)
            found.append(row)
        return found, damaged

    def _restore_request(
        self, checkpoint_id: str, resources: Iterable[Ref], parameters: Mapping[str, Any] | None, surroundings: str
    ) -> tuple[Row, Provider, dict[str, Any]]:
        row = checkpoints.get(self.database, checkpoint_id)
        if row["status"] not in ("available", "error"):
            raise Invalid(f"checkpoint {checkpoint_id} is {row['status']} and cannot be restored")
        provider = provider_of(self.providers, row)
        graph = provider.archive.read_graph(row["project_id"], checkpoint_id)
        wanted = list(resources)
        check_whole(provider.archive.read_manifest(row["project_id"], checkpoint_id), wanted)
        for ref in wanted:
            if ref not in graph:
                raise NotFound(
                    f"checkpoint {checkpoint_id} holds no {ref}; `karbor checkpoint show` lists what it holds"
                )
        part = graph.only(wanted) if wanted else graph
        check_options("restore", provider, part.resources, parameters or {})
        return row, provider, restore_request(row["project_id"], wanted, parameters, surroundings)

    def _run_released(self, cloud: Cloud) -> None:
        """Run the deletions of the project that waited and can go now; those of the service its conductors run."""
        tried: set[str] = set()
        while left := [id for id in operations.released(self.database, cloud.project_id) if id not in tried]:
            tried.add(left[0])
            with suppress(operations.AlreadyClaimed):
                self._run_one(left[0], lambda _row: cloud)


def _common(cloud: Cloud, provider: Provider, runner: str) -> dict[str, Any]:
    return {"project_id": cloud.project_id, "provider_id": provider.id, "cloud": _place(cloud), "runner": runner}


def _place(cloud: Cloud) -> dict[str, str]:
    """Where an operation runs; nothing secret."""
    return {
        "name": cloud.name, "region": cloud.region, "auth_url": cloud.auth_url, "project_id": cloud.project_id,
    }  # fmt: skip


def check_cloud(row: Row, cloud: Cloud) -> None:
    """Raises Invalid where an operation runs in another project than the cloud's."""
    if row["cloud"]["project_id"] not in ("", cloud.project_id) or row["cloud"]["auth_url"] != cloud.auth_url:
        raise Invalid(
            f"operation {row['id']} belongs to project {row['cloud']['project_id']} of {row['cloud']['auth_url']} "
            f"(cloud {row['cloud']['name']!r}), not to the project of cloud {cloud.name!r}"
        )
