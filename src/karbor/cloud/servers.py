"""The kinds of Nova: servers, key pairs, server groups; and flavors, which are only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.kind import UNDER_WAY, Body, Object, Step
from karbor.cloud.rest import RestKind
from karbor.model.errors import Failed, Gone, Refused

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

MOST_TAGS = 50
HINTS = "os:scheduler_hints"
"""The one part of a server's body that stands beside the envelope and not in it."""


class Server(RestKind):
    """A server. Body: the service's own, with `os:scheduler_hints` in it.

    Power is changed by `stop` … `resume`, which may be asked for again. The looks `is_stopped` … `is_suspended` answer
    UNDER_WAY while a task runs, and raise Failed for a server in error.
    """

    name, type, service = "server", "OS::Nova::Server", "compute"
    path, singular, plural, details = "/servers", "server", "servers", "/detail"
    ready_states = frozenset({"active"})

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        wanted = {key: value for key, value in body.items() if key != HINTS}
        # Nova takes 50 tags; `settle` sets them all, so for a while one may give its place to ours.
        wanted["tags"] = [*list(body.get("tags") or ())[: MOST_TAGS - 1], tag]
        hints = {HINTS: body[HINTS]} if body.get(HINTS) else {}
        return str(cloud.post(self.service, self.path, {"server": wanted, **hints})["server"]["id"])

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return [str(obj["id"]) for obj in self.matching(cloud, tags=tag) if tag in obj["tags"]]

    def settle(self, cloud: Cloud, id: str, body: Body, tag: str) -> None:
        cloud.put(self.service, f"{self.at(id)}/tags", {"tags": list(body.get("tags") or ())})

    def get(self, cloud: Cloud, id: str) -> Object | None:
        obj = super().get(cloud, id)
        # For a moment a deleted server is still shown, with the state that says so.
        return None if obj is None or self.state(obj) in ("deleted", "soft_deleted") else obj

    def delete(self, cloud: Cloud, id: str) -> None:
        try:
            super().delete(cloud, id)
        except Refused:
            obj = self.get(cloud, id)
            if not obj or not obj.get("locked"):
                raise
            self.unlock(cloud, id=id)
            super().delete(cloud, id)

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        flavor = FLAVOR.seen(cloud, body["flavorRef"])
        return {"instances": 1, "cores": flavor["vcpus"], "ram": flavor["ram"]}

    def undeletable(self, obj: Object) -> bool:
        return self.state(obj) == "error" and not _task(obj)

    def reason(self, obj: Object) -> str:
        fault = obj.get("fault") or {}
        return str(fault.get("message") or super().reason(obj))

    def way_out(self, obj: Object) -> str:
        stuck = self.state(obj) == "build" or _task(obj)
        return f"an administrator frees it with `openstack server set --state error {obj['id']}`" if stuck else ""

    def stop(self, cloud: Cloud, *, id: str) -> None:
        self._reach(cloud, id, "os-stop", "shutoff")

    def start(self, cloud: Cloud, *, id: str) -> None:
        self._reach(cloud, id, "os-start", "active")

    def pause(self, cloud: Cloud, *, id: str) -> None:
        self._reach(cloud, id, "pause", "paused")

    def unpause(self, cloud: Cloud, *, id: str) -> None:
        self._reach(cloud, id, "unpause", "active")

    def suspend(self, cloud: Cloud, *, id: str) -> None:
        self._reach(cloud, id, "suspend", "suspended")

    def resume(self, cloud: Cloud, *, id: str) -> None:
        self._reach(cloud, id, "resume", "active")

    def lock(self, cloud: Cloud, *, id: str, reason: str | None = None) -> None:
        """Lock it; a lock again is no error."""
        speaks = cloud.microversion("compute") >= (2, 73)
        self.action(cloud, id, "lock", {"locked_reason": reason} if reason and speaks else None)

    def unlock(self, cloud: Cloud, *, id: str) -> None:
        self.action(cloud, id, "unlock")

    def is_stopped(self, cloud: Cloud, *, id: str) -> bool | Step:
        return self._is(cloud, id, "shutoff")

    def is_active(self, cloud: Cloud, *, id: str) -> bool | Step:
        return self._is(cloud, id, "active")

    def is_paused(self, cloud: Cloud, *, id: str) -> bool | Step:
        return self._is(cloud, id, "paused")

    def is_suspended(self, cloud: Cloud, *, id: str) -> bool | Step:
        return self._is(cloud, id, "suspended")

    def is_locked(self, cloud: Cloud, *, id: str) -> bool | Step:
        return bool(self.seen(cloud, id).get("locked"))

    def attachments(self, cloud: Cloud, *, id: str) -> list[Object]:
        """Its volumes, as Nova attached them: volumeId, device, tag, delete_on_termination (from 2.79)."""
        found: list[Object] = cloud.get(self.service, f"{self.at(id)}/os-volume_attachments")["volumeAttachments"]
        return found

    def attach(
        self, cloud: Cloud, *, id: str, volume_id: str, tag: str | None = None, delete_on_termination: bool = False
    ) -> None:
        """Attach a volume. Raises NotNow when it is attached already or busy."""
        wanted = {"volumeId": volume_id, "delete_on_termination": delete_on_termination}
        cloud.post(
            self.service,
            f"{self.at(id)}/os-volume_attachments",
            {"volumeAttachment": {**wanted, "tag": tag} if tag else wanted},
        )

    def is_attached(self, cloud: Cloud, *, id: str, volume_id: str) -> bool | Step:
        """Whether the volume is in use by this server."""
        volume = VOLUME.seen(cloud, volume_id)
        state = VOLUME.state(volume)
        if state in ("reserved", "attaching", "detaching"):
            return UNDER_WAY
        return any(attachment["server_id"] == id for attachment in volume["attachments"])

    def detach(self, cloud: Cloud, *, id: str, volume_id: str) -> None:
        """Ask for a volume to be taken off; one that is not attached is no error."""
        try:
            cloud.delete(self.service, f"{self.at(id)}/os-volume_attachments/{volume_id}")
        except Gone:
            return
        except Refused:
            volume = VOLUME.get(cloud, volume_id)
            if volume and any(attachment["server_id"] == id for attachment in volume["attachments"]):
                raise

    def set_delete_on_termination(self, cloud: Cloud, *, id: str, volume_id: str, value: bool) -> None:
        """Say whether the volume goes with the server (from 2.85)."""
        cloud.put(
            self.service,
            f"{self.at(id)}/os-volume_attachments/{volume_id}",
            {"volumeAttachment": {"volumeId": volume_id, "delete_on_termination": value}},
        )

    def has_delete_on_termination(self, cloud: Cloud, *, id: str, volume_id: str, value: bool) -> bool | Step:
        return any(
            attachment["volumeId"] == volume_id and attachment["delete_on_termination"] == value
            for attachment in self.attachments(cloud, id=id)
        )

    def interfaces(self, cloud: Cloud, *, id: str) -> list[Object]:
        """Its NICs (port_id, net_id, mac_addr, fixed_ips, tag), in no order that means anything."""
        found: list[Object] = cloud.get(self.service, f"{self.at(id)}/os-interface")["interfaceAttachments"]
        return found

    def flavor_id(self, cloud: Cloud, *, id: str) -> str:
        """The id of its flavor, which only versions up to 2.46 tell."""
        server = cloud.get(self.service, self.at(id), microversion="2.46")["server"]
        return str(server["flavor"]["id"])

    def _is(self, cloud: Cloud, id: str, state: str) -> bool | Step:
        """Whether it is at rest in this state. Raises Failed when it is in error."""
        obj = self.seen(cloud, id)
        if _task(obj):
            return UNDER_WAY
        if self.state(obj) == "error":
            reason = self.reason(obj)
            raise Failed(f"server {id} of cloud {cloud.name!r} is in state error: {reason}", id, reason)
        return self.state(obj) == state

    def _reach(self, cloud: Cloud, id: str, action: str, state: str) -> None:
        """Ask for an action; one whose state is reached already is no error, although Nova refuses it."""
        try:
            self.action(cloud, id, action)
        except Refused:
            obj = self.get(cloud, id)
            if obj is None or self.state(obj) != state:
                raise


class KeyPair(RestKind):
    """A user's public key. Its id is its name; it can carry no tag. Body: name, public_key, type."""

    name, type, service = "keypair", "OS::Nova::KeyPair", "compute"
    path, singular, plural = "/os-keypairs", "keypair", "keypairs"

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return str(cloud.post(self.service, self.path, {"keypair": dict(body)})["keypair"]["name"])

    def before(self, cloud: Cloud, body: Body) -> bool:
        """Whether the name is taken already."""
        return self.get(cloud, body["name"]) is not None

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        return [str(body["name"])] if not before and self.is_still(cloud, body["name"], body) else []

    def is_still(self, cloud: Cloud, id: str, body: Body) -> bool:
        there = self.get(cloud, id)
        return there is not None and there["public_key"].split()[:2] == body["public_key"].split()[:2]

    def get(self, cloud: Cloud, id: str) -> Object | None:
        obj = super().get(cloud, id)
        return None if obj is None else {**obj, "id": obj["name"]}

    def list(self, cloud: Cloud) -> Iterator[Object]:
        """The key pairs of the user who is logged in; Nova has none of a project."""
        for entry in cloud.pages(self.service, self.path, self.plural):
            yield {**entry["keypair"], "id": entry["keypair"]["name"]}

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        return {"key_pairs": 1}


class ServerGroup(RestKind):
    """A server group, which can carry no tag. Body: name, policy, rules."""

    name, type, service = "server_group", "OS::Nova::ServerGroup", "compute"
    path, singular, plural = "/os-server-groups", "server_group", "server_groups"

    def create(self, cloud: Cloud, body: Body, tag: str) -> str:
        return self.post(cloud, body)

    def before(self, cloud: Cloud, body: Body) -> list[str]:
        """The ids of the groups that have this name already."""
        return [str(obj["id"]) for obj in self.list(cloud) if obj["name"] == body["name"]]

    def find(self, cloud: Cloud, body: Body, tag: str, before: Any) -> list[str]:
        def same(obj: Object) -> bool:
            rules = (obj.get("rules") or {}) == (body.get("rules") or {})
            return bool(obj["name"] == body["name"] and obj.get("policy") == body.get("policy") and rules)

        return [str(obj["id"]) for obj in self.list(cloud) if obj["id"] not in before and same(obj)]

    def needs(self, cloud: Cloud, body: Body) -> Mapping[str, int]:
        return {"server_groups": 1}


class Flavor(RestKind):
    """A flavor, which an operator makes; only read here."""

    name, type, service = "flavor", "OS::Nova::Flavor", "compute"
    path, singular, plural, details = "/flavors", "flavor", "flavors", "/detail"

    def owned(self, cloud: Cloud, obj: Object) -> bool:
        return True


def _task(obj: Object) -> str | None:
    """What Nova is doing with the server just now."""
    task: str | None = obj.get("OS-EXT-STS:task_state")
    return task


SERVER = Server()
KEYPAIR = KeyPair()
SERVER_GROUP = ServerGroup()
FLAVOR = Flavor()
