"""Takes operations in as rows, to be run later by whoever claims them. Nothing here calls a cloud or reads a bank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import sqlalchemy as sa

from karbor import clock
from karbor.engine.events import tell_rest
from karbor.engine.request import check_options
from karbor.model.errors import Forbidden, Invalid, NotFound
from karbor.model.resource import Ref
from karbor.notifier import Notify, silence
from karbor.providers import Provider
from karbor.store import checkpoints, operations

Row = Mapping[str, Any]


class Intake:
    """How operations come into the service. `place` says where they run: `name`, `region`, `auth_url`.

    A `credential` is sealed text, with the rights of whoever asked; the row keeps it until it is not needed any more.
    Operations are named by their ids. Whether one is the caller's own is looked up by who calls. `notify` tells other
    services what is taken in as failed.
    """

    def __init__(
        self, database: sa.Engine, providers: Mapping[str, Provider], place: Mapping[str, str],
        notify: Notify = silence,
    ) -> None:  # fmt: skip
        self._notify = notify
        self._database = database
        self._providers = providers
        self._place = dict(place)

    def protect(
        self, *, project_id: str, user_id: str, provider: Provider, plan: Mapping[str, Any],
        extra_info: Mapping[str, Any], credential: str, scheduled_operation_id: str | None = None,
        connection: sa.Connection | None = None,
    ) -> str:  # fmt: skip
        """Take in the protection of a plan (`id`, `name`, `resources`, `parameters`), which is discovered when it runs.

        The operation's id; its row names the new checkpoint. Both rows are added in the transaction of `connection`,
        or in one of their own. Parameters for types that the provider has no plug-in for are of no use and left out.
        """
        shown = {
            "id": plan["id"], "name": plan["name"], "provider_id": provider.id,
            "resources": [dict(item) for item in plan["resources"]],
        }  # fmt: skip
        common = {
            **self._common(project_id, user_id, provider, credential),
            "scheduled_operation_id": scheduled_operation_id,
        }
        given = plan.get("parameters") or {}
        parameters = {
            key: options or {} for key, options in given.items() if key.partition("#")[0] in provider.plugins
        }  # fmt: skip
        with self._transaction(connection) as own:
            return add_protect(own, shown, parameters, extra_info, **common)

    def restore(
        self, *, project_id: str, user_id: str, provider: Provider, checkpoint_id: str,
        parameters: Mapping[str, Any], restore_target: str | None, credential: str, on_failure: str = "rollback",
        surroundings: str = "auto",
    ) -> str:  # fmt: skip
        """Take in a restore; the operation's id.

        `restore_target` is the auth URL of the cloud into which another user's credential leads, None for the
        caller's own project. What cannot be restored is taken in as failed, with the reason.
        Raises Forbidden where the checkpoint is another project's.
        """
        request = {
            **restore_request(project_id, (), parameters, surroundings),
            "on_failure": on_failure,
            "restore_target": restore_target,
        }
        common = self._common(project_id, user_id, provider, credential)
        if restore_target is not None:  # which project it is becomes known when the credential is used
            region = self._place["region"] if restore_target == self._place["auth_url"] else ""
            common["cloud"] = {"name": "", "region": region, "auth_url": restore_target, "project_id": ""}
        return self._of_checkpoint("restore", checkpoint_id, request, provider, common)

    def verify(
        self, *, project_id: str, user_id: str, provider: Provider, checkpoint_id: str,
        parameters: Mapping[str, Any], credential: str,
    ) -> str:  # fmt: skip
        """Take in a verification; as `restore`."""
        common = self._common(project_id, user_id, provider, credential)
        return self._of_checkpoint("verify", checkpoint_id, {"parameters": dict(parameters)}, provider, common)

    def delete(
        self, *, project_id: str, user_id: str, checkpoint_id: str, credential: str,
        scheduled_operation_id: str | None = None, connection: sa.Connection | None = None,
    ) -> str:  # fmt: skip
        """Take in the deletion of a checkpoint; the operation's id.

        It is looked at and added in the transaction of `connection`, or in one of its own: of two that ask for the
        same at once, one is refused. The checkpoint is `deleting` from then on, and is restored and verified no more,
        unless the deletion ends before it has begun.
        Raises NotFound, Forbidden (another project's), Invalid (not in this state, or something else uses it).
        """
        with self._transaction(connection) as own:
            row = checkpoints.read(own, checkpoint_id, lock=True)
            if row["project_id"] != project_id:
                raise Forbidden(f"checkpoint {checkpoint_id} is another project's")
            check_deletable(own, row)
            checkpoints.change(own, row["id"], status="deleting", reason="")
            return operations.add(
                own, operation_type="delete", status=operations.STARTED["delete"], checkpoint_id=row["id"],
                request=delete_request(row), scheduled_operation_id=scheduled_operation_id,
                **self._common(project_id, user_id, provider_of(self._providers, row), credential),
            )  # fmt: skip

    def copy(
        self, *, project_id: str, user_id: str, provider: Provider, source: Row, parameters: Mapping[str, Any],
        credential: str, connection: sa.Connection,
    ) -> str:  # fmt: skip
        """Take in a copy of an available checkpoint, in a transaction; the new checkpoint's id.

        Its bytes count from now on. Until the copy has ended, its `source` cannot be deleted.
        """
        common = self._common(project_id, user_id, provider, credential)
        created_at = clock.now()
        checkpoint = {
            **{key: source[key] for key in ("project_id", "provider_id", "plan", "plan_id", "cloud", "bytes_in_bank")},
            "id": clock.new_id(),
            "status": operations.STARTED["copy"],
            "resources": [],
            "extra_info": {"created_by": "manual", "copied_from": source["id"]},
            "created_at": created_at,
        }
        request = {
            "source_id": source["id"], "parameters": dict(parameters), "extra_info": checkpoint["extra_info"],
        }  # fmt: skip
        checkpoints.put(connection, checkpoint)
        operations.add(
            connection, operation_type="copy", status=operations.STARTED["copy"], checkpoint_id=checkpoint["id"],
            plan_id=source["plan_id"], request=request, created_at=created_at, **common,
        )  # fmt: skip
        return str(checkpoint["id"])

    def resume(self, id: str, credential: str) -> None:
        """Let an operation that waits for a person go on, with a new credential. Raises NotFound, Invalid."""
        row = self._waiting(id)
        operations.reopen(self._database, row, credential=credential, error_info=None)

    def roll_back(self, id: str, credential: str) -> None:
        """Have an operation taken back that waits for a person, or a restore that has ended well.

        Raises NotFound, Invalid.
        """
        row = operations.get(self._database, id)
        changes = rollback_of(row)
        if row["phase"] != "ended":
            self._waiting(id)
        if row["graph"] is None:
            end_unstarted(self._database, row, "rolled back")
        else:
            operations.reopen(self._database, row, credential=credential, **changes)

    def cancel(self, id: str) -> None:
        """Ask for an operation's end: what it has made is taken back. Raises NotFound, Invalid."""
        row = operations.get(self._database, id)
        if row["phase"] == "ended":
            raise Invalid(f"operation {id} has ended; nothing is left to cancel")
        active = row["status"] in operations.ACTIVE
        if active:
            operations.cancel(self._database, id)
        if row["graph"] is None and not (active and operations.is_running(row)):
            if end_unstarted(self._database, row, CANCELLED):
                tell_rest(self._notify, operations.get(self._database, id))
        elif not active:
            raise Invalid(f"operation {id} is {row['status']} and does not run; roll it back, or resume it")

    def _of_checkpoint(
        self, verb: str, checkpoint_id: str, request: Mapping[str, Any], provider: Provider, common: Mapping[str, Any]
    ) -> str:
        """Add an operation on one of the project's own checkpoints, one that has failed where it cannot be done."""
        state: dict[str, Any] = {"status": operations.STARTED[verb]}
        with self._database.begin() as connection:
            try:
                row = checkpoints.read(connection, checkpoint_id, lock=True)
                if row["project_id"] != common["project_id"]:
                    raise Forbidden(f"checkpoint {checkpoint_id} is another project's")
                if row["provider_id"] != provider.id:
                    raise Invalid(
                        f"checkpoint {checkpoint_id} is of provider {row['provider_id']}, not of {provider.id}"
                    )
                if row["status"] != "available":
                    raise Invalid(f"checkpoint {checkpoint_id} is {row['status']}; it has to be available for a {verb}")
                refs = [Ref(item["type"], item["id"]) for item in row["resources"]]
                check_options(verb, provider, refs, request["parameters"])
            except (NotFound, Invalid) as error:
                state = {"status": "fail", "phase": "ended", "error_info": str(error), "ended_at": clock.now()}
            id = operations.add(
                connection, operation_type=verb, checkpoint_id=checkpoint_id, request=dict(request), **state, **common
            )
        if state.get("phase") == "ended":
            tell_rest(self._notify, operations.get(self._database, id))
        return id

    def _transaction(self, connection: sa.Connection | None) -> AbstractContextManager[sa.Connection]:
        """The caller's transaction, or a new one."""
        return self._database.begin() if connection is None else nullcontext(connection)

    def _waiting(self, id: str) -> Row:
        """The row of an operation of the service that has stopped before its end and waits for a person."""
        row = operations.get(self._database, id)
        if row["phase"] == "ended":
            raise Invalid(f"operation {id} has ended; nothing is left to do")
        if row["runner"] != "service":
            raise Invalid(f"operation {id} was started by a command; `karbor operation resume` goes on with it")
        if row["status"] in operations.ACTIVE:
            raise Invalid(f"operation {id} is running or waits for its turn; cancel it")
        return row

    def _common(self, project_id: str, user_id: str, provider: Provider, credential: str) -> dict[str, Any]:
        return {
            "project_id": project_id, "user_id": user_id, "provider_id": provider.id, "runner": "service",
            "credential": credential, "cloud": {**self._place, "project_id": project_id},
        }  # fmt: skip


def add_protect(
    connection: sa.Connection, plan: Mapping[str, Any], parameters: Mapping[str, Any], extra_info: Mapping[str, Any],
    graph: Mapping[str, Any] | None = None, **common: Any,
) -> str:  # fmt: skip
    """Add the rows of a protection and its checkpoint; the operation's id. Without a graph it is discovered later."""
    info = {"created_by": "manual", **extra_info}
    created_at = clock.now()
    checkpoint = {
        "id": clock.new_id(),
        "project_id": common["project_id"],
        "provider_id": common["provider_id"],
        "status": operations.STARTED["protect"],
        "plan": dict(plan),
        "plan_id": plan["id"],
        "resources": [],
        "extra_info": info,
        "cloud": common["cloud"],
        "created_at": created_at,
    }
    request = {"plan": dict(plan), "parameters": dict(parameters), "extra_info": info}
    checkpoints.put(connection, checkpoint)
    discovered = {} if graph is None else {"graph": graph}
    return operations.add(
        connection, operation_type="protect", status=operations.STARTED["protect"], checkpoint_id=checkpoint["id"],
        plan_id=plan["id"], request=request, created_at=created_at, **discovered, **common,
    )  # fmt: skip


def restore_request(
    project_id: str, resources: Iterable[Ref], parameters: Mapping[str, Any] | None, surroundings: str
) -> dict[str, Any]:
    """What a restore is asked to do with a checkpoint of a project."""
    return {
        "checkpoint_project_id": project_id,
        "resources": [[ref.type, ref.id] for ref in resources],
        "parameters": dict(parameters or {}),
        "surroundings": surroundings,
    }


def delete_request(checkpoint: Row) -> dict[str, Any]:
    """What a deletion is asked to do: what a checkpoint `was` that is whole until it begins."""
    whole = checkpoint["status"] in ("available", "error")
    return {WAS: {name: checkpoint[name] for name in ("status", "reason")}} if whole else {}


def provider_of(providers: Mapping[str, Provider], row: Row) -> Provider:
    """The provider of a checkpoint or operation. Raises NotFound."""
    try:
        return providers[row["provider_id"]]
    except KeyError:
        raise NotFound(
            f"the provider {row['provider_id']} of {row['id']} is not configured any more; configure one with this id"
        ) from None


def check_deletable(connection: sa.Connection, row: Row) -> None:
    """Raises Invalid where a checkpoint cannot be deleted now."""
    if row["status"] not in ("available", "error", "error-deleting", "deleting"):
        raise Invalid(f"checkpoint {row['id']} is {row['status']} and cannot be deleted now")
    other = operations.unfinished_on(connection, row["id"])
    if other is not None:
        raise Invalid(
            f"checkpoint {row['id']} is used by the unfinished {other['operation_type']} {other['id']}; "
            "resume it or roll it back first"
        )


def rollback_of(row: Row) -> dict[str, Any]:
    """What changes in the row of an operation that is to be taken back. Raises Invalid where it cannot be."""
    whole = row["operation_type"] == "restore" and row["status"] == "success"
    if row["phase"] == "ended" and not whole:
        raise Invalid(f"operation {row['id']} has ended; nothing is left to take back")
    if row["operation_type"] not in ("protect", "restore", "copy"):
        raise Invalid(f"a {row['operation_type']} cannot be taken back; resume it")
    if operations.is_running(row):
        raise Invalid(f"operation {row['id']} is still running; cancel it")
    if row["phase"] == "rollback":
        return {}
    return {"phase": "rollback", "error_info": row["error_info"] or "rolled back on request", "ended_at": None}


def end_unstarted(database: sa.Engine, row: Row, reason: str) -> bool:
    """End an operation that has done nothing yet and that nobody runs; False where an engine has claimed it since.

    A checkpoint that was to be deleted is what it was before.
    """
    verb, ended_at = row["operation_type"], clock.now()
    was = row["request"].get(WAS)
    status = "fail" if was else _UNSTARTED.get(verb, "fail")
    changes: dict[str, Any] = was or {"status": status, "reason": reason}
    if verb in ("protect", "copy"):
        changes |= {"ended_at": ended_at, "bytes_in_bank": 0}
    with database.begin() as connection:
        if not operations.let_go(
            connection, row["id"], row["epoch"], phase="ended", status=status, error_info=reason, ended_at=ended_at
        ):
            return False
        if verb in _UNSTARTED:
            checkpoints.change(connection, row["checkpoint_id"], **changes)
    return True


CANCELLED = "the operation was cancelled"
WAS = "was"
"""Where the request of a deletion has the status and reason that its checkpoint had, until the deletion begins."""
_UNSTARTED = {"protect": "error", "copy": "error", "delete": "error-deleting"}
"""The status of an operation that has ended without having begun, where it is not `fail`; its checkpoint's too."""
