"""A sandbox cloud with a service user, and the service over it: what tests of intake and conductor share."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.delegation import Delegation
from karbor.cloud.images import IMAGE
from karbor.demo import disks
from karbor.engine.conductor import Conductor
from karbor.engine.intake import Intake
from karbor.model.caller import Caller
from karbor.store import checkpoints, operations, schema
from karbor.store.sealed import Seal
from karbor.testing.rig import Rig

PATIENCE = 60.0
KEY = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlISE="
SERVICE_USER = "sandbox-b"
"""A user who has no role in the project of the callers; his own project stands for the service's."""
DATA = b"some bytes " * 5000


class Bureau(Rig):
    """The caller is the member of project `sandbox`."""

    def __enter__(self) -> Bureau:
        super().__enter__()
        self.password = re.findall(r"password: (\w+)", self.sandbox.clouds_file.read_text())[0]
        self.auth_url = f"{self.sandbox.url}/identity/v3"
        self.delegation = Delegation(
            auth_url=self.auth_url, region="sandbox", username=SERVICE_USER, password=self.password,
            project_name=SERVICE_USER,
        )  # fmt: skip
        self.seal = Seal([KEY])
        place = {"name": "", "region": "sandbox", "auth_url": self.auth_url}
        self.intake = Intake(self.database, self.providers, place)
        return self

    def log_in(self, **credential: Any) -> Cloud:
        """The caller's own login."""
        password = {"kind": "password", "username": "sandbox", "password": self.password, "project_name": "sandbox"}
        return self.delegation.by_credential({**password, **credential})

    def caller(self, cloud: Cloud | None = None, *, delegated: bool = False) -> Caller:
        """The caller with a new token, or with the one of a login."""
        cloud = cloud or self.log_in()
        access = cloud._session.auth.get_access(cloud._session)
        roles, role_ids, token = frozenset(access.role_names), tuple(access.role_ids), access.auth_token
        return Caller(cloud.user_id, cloud.project_id, roles, role_ids, token, delegated=delegated)

    def by_application_credential(self) -> tuple[Caller, str]:
        """The caller with the token of an application credential, and its secret."""
        own = self.log_in()
        body = {"application_credential": {"name": f"of the caller {time.monotonic_ns()}"}}
        made = own.post("identity", f"/users/{own.user_id}/application_credentials", body)["application_credential"]
        cloud = self.log_in(kind="application_credential", id=made["id"], secret=made["secret"])
        return self.caller(cloud, delegated=True), made["secret"]

    def credential(self, caller: Caller) -> str:
        """What the API hands to the intake for a request of the caller."""
        return self.seal.seal(self.delegation.delegate(caller))

    def who(self, caller: Caller | None = None) -> dict[str, Any]:
        """The arguments of the intake that say whose an operation is."""
        caller = caller or self.caller()
        return {"project_id": caller.project_id, "user_id": caller.user_id, "credential": self.credential(caller)}

    def application(self) -> list[dict[str, Any]]:
        """Something to protect, as a plan names it: a volume and an image with bytes."""
        cloud = self.cloud()
        volume = VOLUME.post(cloud, {"name": "data", "size": 1})
        image = disks.queue_image(cloud, {"name": "base", "disk_format": "raw", "container_format": "bare"})
        cloud.upload(image, iter([DATA]))
        until(lambda: VOLUME.get(cloud, volume)["status"] == "available")
        return [
            {"type": VOLUME.type, "id": volume, "name": "data"},
            {"type": IMAGE.type, "id": image, "name": "base"},
        ]

    def plan(self, resources: list[dict[str, Any]], **parameters: Any) -> dict[str, Any]:
        return {"id": "a-plan", "name": "of the caller", "resources": resources, "parameters": parameters}

    def protect(self, resources: list[dict[str, Any]], caller: Caller | None = None, **more: Any) -> str:
        """Take in the protection of resources."""
        who = {} if "credential" in more else self.who(caller)
        return self.intake.protect(**who, **more, provider=self.provider, plan=self.plan(resources), extra_info={})

    def restore(self, checkpoint_id: str, caller: Caller | None = None, **more: Any) -> str:
        """Take in a restore."""
        request = {"parameters": {}, "restore_target": None, **more}
        who = {} if "credential" in more else self.who(caller)
        return self.intake.restore(**who, **request, provider=self.provider, checkpoint_id=checkpoint_id)

    def restore_with_password(self, checkpoint_id: str, user: str) -> str:
        """Take in a restore of the caller's checkpoint into the project of another user, with his password."""
        caller = self.caller()
        sealed = self.seal.seal({"kind": "password", "username": user, "password": self.password, "project_name": user})
        who = {"project_id": caller.project_id, "user_id": caller.user_id, "credential": sealed}
        return self.restore(checkpoint_id, restore_target=self.auth_url, **who)

    def conductor(self, observer: Callable[[str], None] | None = None, **options: Any) -> Conductor:
        """A new conductor with an engine of its own, as a new process has."""
        options = {"seal": self.seal, "delegation": self.delegation, **options}
        return Conductor(self.engine(observer), self.delegation.by_credential, **options)

    @contextmanager
    def conducted(self, observer: Callable[[str], None] | None = None, **options: Any) -> Iterator[Conductor]:
        """A conductor that looks for work as long as the block lasts."""
        conductor = self.conductor(observer, **options)
        conductor.start()
        try:
            yield conductor
        finally:
            conductor.stop()

    def at_rest(self, id: str) -> Any:
        """Wait until an operation has stopped and its credential is put away; its row."""

        def rests() -> bool:
            row = operations.get(self.database, id)
            waits = row["phase"] == "ended" or row["status"] not in operations.ACTIVE
            return waits and row["credential"] is None and not operations.is_running(row)

        until(rests, lambda: f"operation {id}: {operations.get(self.database, id)}")
        return operations.get(self.database, id)

    def run(self, id: str) -> Any:
        """Let a conductor of its own bring an operation to rest; its row."""
        with self.conducted():
            return self.at_rest(id)

    def protected(self, resources: list[dict[str, Any]]) -> str:
        """Protect, which has to go well; the checkpoint's id."""
        row = self.run(self.protect(resources))
        assert row["status"] == "available", row["error_info"]
        return str(row["checkpoint_id"])

    def checkpoint(self, row: Any) -> Any:
        return checkpoints.get(self.database, row["checkpoint_id"])

    def trusts(self) -> list[str]:
        """The ids of all trusts that Keystone knows."""
        return list(self.sandbox.state.table("trust"))

    def end_token(self, token: str) -> None:
        """Let a token's time be over, everywhere at once."""
        from karbor.sandbox import tokens

        with self.sandbox.state.lock:
            record = self.sandbox.state.table("token")[tokens.digest(token)]
            record["expires"] = 0.0
            self.sandbox.state.save("token", record)

    def creates(self) -> dict[str, int]:
        """How many objects of each kind were ever created in the caller's cloud."""
        return dict(self.ask("/sandbox/counts")["creates"])

    def since(self, before: dict[str, int]) -> dict[str, int]:
        return {kind: more for kind, count in self.creates().items() if (more := count - before.get(kind, 0))}

    def everything_written(self) -> str:
        """All rows of all tables, and all files of the state folder that are not the sandbox's."""
        with self.database.connect() as connection:
            rows = [str(row) for table in schema.metadata.sorted_tables for row in connection.execute(sa.select(table))]
        files = [path for path in self.folder.rglob("*") if path.is_file() and "sandbox" not in path.parts]
        own = [path.read_bytes().decode("latin-1") for path in files if path.name != "clouds.yaml"]
        return "\n".join((*rows, *own))


def until(done: Callable[[], object], what: Callable[[], str] = lambda: "it takes too long") -> None:
    """Wait for what another thread, process or the cloud does in its own time."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)
