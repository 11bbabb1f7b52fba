"""What happens to servers after the answer: they get a host, ports, volumes and a disk, or fail; and they go."""

from __future__ import annotations

from karbor.sandbox.compute import disks, nics
from karbor.sandbox.compute.rules import change, stamp
from karbor.sandbox.compute.server_groups import members_of
from karbor.sandbox.http import Fault
from karbor.sandbox.image.rules import is_broken
from karbor.sandbox.state import Object, State, job

HOSTS = tuple(f"sandbox-{number}" for number in range(1, 9))
MACHINE = "x86_64"
NO_HOST = "No valid host was found. "
POLL_SECONDS = 0.05  # between looks at volumes that are being made
MOST_POLLS = 1200
SHARE = 0.5  # of the delay that each of the two steps of a build takes
LINGER = 0.5  # of the delay that a deleted server is still seen


def _building(state: State, id: str) -> Object | None:
    """The server, unless it is gone or is being deleted."""
    server = state.table("server").get(id)
    if server is None or server["task_state"] == "deleting" or server["vm_state"] != "building":
        return None
    return server


def fail(state: State, server: Object, message: str) -> None:
    """The server is in ERROR and says why."""
    change(
        state, server, vm_state="error", task_state=None, fault={"code": 500, "created": stamp(), "message": message}
    )


@job("compute.schedule")
def schedule(state: State, id: str, error: bool = False) -> None:
    """Find a host. Where there is none, the server's volumes stay reserved for it until it is deleted."""
    server = _building(state, id)
    if server is None:
        return
    host = None if error else _find_host(state, server)
    if host is None:
        change(state, server, scheduled=True)
        fail(state, server, NO_HOST)
        return
    change(state, server, scheduled=True, host=host, task_state="block_device_mapping")
    state.later(0, "compute.connect", id=id)


def _find_host(state: State, server: Object) -> str | None:
    """The emptiest host that the server's group allows; none has another machine than the image may be for."""
    image = state.table("image").get(server["image_id"] or "")
    if image and image["properties"].get("hw_architecture", MACHINE) != MACHINE:
        return None
    group = state.table("server_group").get(server["group_id"] or "")
    others = [one["host"] for one in members_of(state, group["id"]) if one["host"]] if group else []
    load = {host: others.count(host) for host in HOSTS}
    if group is None or not others:
        return HOSTS[int(server["id"][:8], 16) % len(HOSTS)]
    if group["policy"].endswith("anti-affinity"):
        host = min(HOSTS, key=lambda one: load[one])
        allowed = group["policy"].startswith("soft") or load[host] < group["rules"].get("max_server_per_host", 1)
        return host if allowed else None
    return max(HOSTS, key=lambda one: load[one])


@job("compute.connect")
def connect(state: State, id: str, polls: int = 0) -> None:
    """Plug ports and volumes in, once the volumes that are being made for the server are there."""
    server = _building(state, id)
    if server is None:
        return
    volumes = [state.table("volume").get(one["volume_id"] or "") for one in server["disks"]]
    made = [volume["status"] not in ("creating", "downloading") for volume in volumes if volume is not None]
    if not all(made) and polls < MOST_POLLS:
        state.later(POLL_SECONDS, "compute.connect", id=id, polls=polls + 1)
        return
    try:
        if server["doomed"]:
            raise Fault(500, server["doomed"])
        for planned in server["planned_nics"]:
            nics.connect(state, server, planned)
        for one in server["disks"]:
            disks.attach_disk(state, server, one)
    except Fault as refusal:
        let_go(state, server, final=False)
        fail(state, server, f"Build of instance {id} aborted: {refusal.message}")
        return
    change(state, server, task_state="spawning")
    state.later(state.delay * SHARE, "compute.spawn", id=id)


@job("compute.spawn")
def spawn(state: State, id: str) -> None:
    """Start the guest. A server whose image is not what it says fails, and its ports and volumes are free again."""
    server = _building(state, id)
    if server is None:
        return
    if server["own_disk"]:
        image = state.table("image").get(server["image_id"])
        if image is None or is_broken(state, image):
            let_go(state, server, final=False)
            fail(state, server, f"Build of instance {id} aborted: Image {server['image_id']} is unacceptable")
            return
        disks.make_own_disk(state, server)
    change(state, server, vm_state="active", task_state=None, launched_at=state.now())


def let_go(state: State, server: Object, *, final: bool) -> None:
    """Unplug everything; `final`: volumes that are to go with the server do."""
    for nic in list(server["nics"]):
        nics.disconnect(state, server, nic["port_id"])
    for one in server["disks"]:
        disks.release_disk(state, server, one, final=final)


@job("compute.remove")
def remove(state: State, id: str, error: bool = False) -> None:
    """The server is DELETED and holds nothing any more; it is seen for a moment yet."""
    server = state.table("server").get(id)
    if server is None:
        return
    if error:
        fail(state, server, "The server could not be deleted.")
        return
    let_go(state, server, final=True)
    disks.drop_own_disk(state, server)
    change(state, server, vm_state="deleted", task_state=None, terminated_at=state.now(), locked=None, group_id=None)
    state.later(state.delay * LINGER, "compute.forget", id=id)


@job("compute.forget")
def forget(state: State, id: str) -> None:
    """The server is found no more, except among those that changed."""
    server = state.table("server").get(id)
    if server is not None:
        state.drop("server", id)
        state.save("deleted_server", {"id": id, "server": server})
