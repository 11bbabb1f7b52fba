"""The engine: takes operations in as rows, claims them one by one and brings each to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.banks.archive import CheckpointEntry, NoSuchCheckpoint
from karbor.cloud.connection import Cloud
from karbor.engine.delete import Delete
from karbor.engine.outline import Outline
from karbor.engine.protect import Protect, row_of
from karbor.engine.restore import Restore, RestoreRequest, check_whole, outline_of
from karbor.engine.scope import Settings
from karbor.engine.undertaking import Undertaking
from karbor.engine.verify import Verify
from karbor.model.errors import BankCorrupt, FormatTooNew, Invalid, KarborError, NotFound
from karbor.model.resource import Ref, ResourceGraph
from karbor.providers import Provider
from karbor.store import checkpoints, operations
from karbor.store.journal import Journal

VERBS: Mapping[str, type[Undertaking]] = {verb.verb: verb for verb in (Protect, Restore, Verify, Delete)}
Row = Mapping[str, Any]


class Engine:
    """Operations of one state folder or service, run by this process.

    `observer` is for tests: see `store.journal.Journal`.
    """

    def __init__(
        self,
        database: sa.Engine,
        providers: Mapping[str, Provider],
        settings: Settings | None = None,
        observer: Callable[[str], None] | None = None,
    ) -> None:
        self.database = database
        self.providers = providers
        self.settings = settings or Settings()
        self._observer = observer

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
        _check("protect", provider, graph, parameters or {})
        provider.archive.claim()  # a bank that cannot be used is known now
        plan = {
            "id": clock.new_id(),
            "name": name or ", ".join(graph.resources[ref].name for ref in graph.named)[:255],
            "provider_id": provider.id,
            "resources": [
                {"type": ref.type, "id": ref.id, "name": graph.resources[ref].name} for ref in sorted(graph.named)
            ],
        }
        info = {"created_by": "manual", **(extra_info or {})}
        created_at = clock.now()
        checkpoint = {
            "id": clock.new_id(),
            "project_id": cloud.project_id,
            "provider_id": provider.id,
            "status": "protecting",
            "plan": plan,
            "resources": [],
            "extra_info": info,
            "cloud": _place(cloud),
            "created_at": created_at,
        }
        request = {"plan": plan, "parameters": dict(parameters or {}), "extra_info": info}
        with self.database.begin() as connection:
            checkpoints.put(connection, checkpoint)
            return operations.add(
                connection, operation_type="protect", status="protecting", checkpoint_id=checkpoint["id"],
                graph=graph.to_json(), request=request, created_at=created_at,
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
                connection, operation_type="restore", status="in_progress", checkpoint_id=row["id"], request=request,
                **_common(cloud, provider, runner),
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
        provider = self._provider(row)
        if verb == "verify" and row["status"] != "available":
            raise Invalid(f"checkpoint {checkpoint_id} is {row['status']}; only an available one can be verified")
        if verb == "delete":
            self._check_deletable(row)
        provider.archive.bank_id()  # an unreadable bank is known now
        parameters = request.get("parameters", {})
        if verb == "verify" or parameters:
            _check(verb, provider, provider.archive.read_graph(row["project_id"], checkpoint_id), parameters)
        status = {"verify": "in_progress", "delete": "deleting"}[verb]
        with self.database.begin() as connection:
            return operations.add(
                connection, operation_type=verb, status=status, checkpoint_id=row["id"], request=request,
                **_common(cloud, provider, runner),
            )  # fmt: skip

    def run(self, id: str, cloud: Cloud) -> Row:
        """Claim an operation and bring it to its end, or to where a person has to decide; its row then.

        Raises KarborError when another process runs it, when it has ended, or when `cloud` is another project's.
        """
        row = self._run_one(id, cloud)
        if row["operation_type"] == "delete" and row["status"] == "deleted":
            self._delete_waiting(cloud)
        return row

    def _run_one(self, id: str, cloud: Cloud) -> Row:
        _check_cloud(operations.get(self.database, id), cloud)
        instance = clock.new_id()
        epoch = operations.claim(self.database, id, instance)
        try:
            row = operations.get(self.database, id)
            journal = Journal(self.database, id, epoch, self._observer)
            try:
                verb = VERBS[row["operation_type"]]
                verb(self.database, row, cloud, self._provider(row), self.settings, journal).run()
            finally:
                journal.close()
        finally:
            operations.INSTANCES.discard(instance)
        return operations.get(self.database, id)

    def roll_back(self, id: str, cloud: Cloud) -> Row:
        """Take back an operation that has not ended, or a restore that has ended well; its row then."""
        row = operations.get(self.database, id)
        _check_cloud(row, cloud)
        whole = row["operation_type"] == "restore" and row["status"] == "success"
        if row["phase"] == "ended" and not whole:
            raise KarborError(f"operation {id} has ended; nothing is left to take back")
        if row["operation_type"] not in ("protect", "restore"):
            raise Invalid(f"a {row['operation_type']} cannot be taken back; resume it")
        if operations.is_running(row):
            raise KarborError(f"operation {id} is still running; cancel it")
        if row["graph"] is None:
            operations.update(
                self.database, id, phase="ended", status="fail", ended_at=clock.now(), error_info="rolled back"
            )
            return operations.get(self.database, id)
        if row["phase"] != "rollback":
            reason = row["error_info"] or "rolled back on request"
            operations.update(self.database, id, phase="rollback", error_info=reason, ended_at=None)
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
            row = row_of(manifest, "deleting" if entry.state == "deleting" else None)
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
        provider = self._provider(row)
        graph = provider.archive.read_graph(row["project_id"], checkpoint_id)
        wanted = list(resources)
        check_whole(provider.archive.read_manifest(row["project_id"], checkpoint_id), wanted)
        for ref in wanted:
            if ref not in graph:
                raise NotFound(
                    f"checkpoint {checkpoint_id} holds no {ref}; `karbor checkpoint show` lists what it holds"
                )
        _check("restore", provider, graph, parameters or {})
        request = {
            "checkpoint_project_id": row["project_id"],
            "resources": [[ref.type, ref.id] for ref in wanted],
            "parameters": dict(parameters or {}),
            "surroundings": surroundings,
        }
        return row, provider, request

    def _provider(self, row: Row) -> Provider:
        try:
            return self.providers[row["provider_id"]]
        except KeyError:
            raise NotFound(f"the provider {row['provider_id']} of {row['id']} is not configured any more") from None

    def _check_deletable(self, row: Row) -> None:
        if row["status"] not in ("available", "error", "error-deleting", "deleting"):
            raise Invalid(f"checkpoint {row['id']} is {row['status']} and cannot be deleted now")
        for other in operations.rows(self.database, project_id=row["project_id"], open_only=True):
            if other["checkpoint_id"] == row["id"]:
                raise Invalid(
                    f"checkpoint {row['id']} is used by the unfinished {other['operation_type']} {other['id']}; "
                    "resume it or roll it back first"
                )

    def _delete_waiting(self, cloud: Cloud) -> None:
        """Take up again, newest first, the deletions that waited for one that has gone now."""
        again = True
        while again:
            again = False
            for row in checkpoints.rows(self.database, project_id=cloud.project_id, status="deleting"):
                busy = operations.rows(self.database, project_id=cloud.project_id, open_only=True)
                if any(other["checkpoint_id"] == row["id"] for other in busy):
                    continue
                ended = self._run_one(self.start("delete", cloud, row["id"]), cloud)
                again = again or ended["status"] == "deleted"


def _common(cloud: Cloud, provider: Provider, runner: str) -> dict[str, Any]:
    return {"project_id": cloud.project_id, "provider_id": provider.id, "cloud": _place(cloud), "runner": runner}


def _place(cloud: Cloud) -> dict[str, str]:
    """Where an operation runs; nothing secret."""
    return {
        "name": cloud.name, "region": cloud.region, "auth_url": cloud.auth_url, "project_id": cloud.project_id,
    }  # fmt: skip


def _check_cloud(row: Row, cloud: Cloud) -> None:
    if row["cloud"]["project_id"] != cloud.project_id or row["cloud"]["auth_url"] != cloud.auth_url:
        raise Invalid(
            f"operation {row['id']} belongs to project {row['cloud']['project_id']} of {row['cloud']['auth_url']} "
            f"(cloud {row['cloud']['name']!r}), not to the project of cloud {cloud.name!r}"
        )


def _check(verb: str, provider: Provider, graph: ResourceGraph, parameters: Mapping[str, Any]) -> None:
    """Raises Invalid when a type has no plug-in or an option does not fit."""
    provider.check_parameters(parameters)
    for ref in graph.resources:
        provider.options(verb, ref.type, ref.id, parameters)
