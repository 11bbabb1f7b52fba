"""The process cinder-backup, which can be killed and started again to see what it leaves behind."""

from __future__ import annotations

from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import State
from karbor.sandbox.volume.rules import change

NAME = "cinder-backup"
ITS_JOBS = ("backup.finish", "backup.delete", "restore.finish")


def is_alive(state: State) -> bool:
    """Whether cinder-backup runs."""
    return NAME not in state.table("dead_service")


def require_alive(state: State) -> None:
    """Raises Fault 404: Cinder's word for a service that does not run, although the backup asked about exists."""
    if not is_alive(state):
        raise Fault(404, f"Service {NAME} could not be found.")


@route("PUT", "/sandbox/services/cinder-backup", auth=False)
def set_service(state: State, request: Request) -> Answer:
    """{"alive": false} kills cinder-backup in the middle of what it does, {"alive": true} starts it again."""
    alive = request.json().get("alive")
    if not isinstance(alive, bool):
        raise Fault(400, "alive must be true or false")
    if alive and not is_alive(state):
        state.drop("dead_service", NAME)
        _clean_up(state)
    elif not alive:
        state.save("dead_service", {"id": NAME})
        for name in ITS_JOBS:
            for timer in state.timers(name):
                state.drop("timer", timer["id"])
    return Answer(200, {"alive": alive})


def _clean_up(state: State) -> None:
    """What the service does about its unfinished work when it starts.

    A snapshot that was being backed up stays `backing-up`, a volume that was being created from a backup `creating`.
    """
    for backup in state.table("backup").values():
        volume = state.table("volume").get(backup["restoring_to"] or backup["volume_id"])
        if backup["status"] == "creating":
            change(state, "backup", backup, status="error", fail_reason="incomplete backup reset on manager restart")
            if backup["snapshot_id"] in state.table("snapshot"):
                change(state, "snapshot", state.table("snapshot")[backup["snapshot_id"]], stranded=True)
            elif volume is not None and volume["status"] == "backing-up":
                change(state, "volume", volume, status=backup["source_status"])
        elif backup["status"] == "restoring":
            change(state, "backup", backup, status="available", restoring_to=None)
            if volume is not None and volume["status"] == "restoring-backup":
                change(state, "volume", volume, status="error_restoring")
        elif backup["status"] == "deleting":
            state.later(None, "backup.delete", id=backup["id"])
    unfinished = {backup["id"] for backup in state.table("backup").values() if backup["status"] == "error"}
    for clone in [one for one in state.table("volume").values() if one["temporary"] in unfinished]:
        state.drop("volume", clone["id"])
