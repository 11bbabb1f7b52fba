"""What can be done to a server: power, pause, suspend, lock, console; `createImage` is in `snapshots`."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from karbor.sandbox.compute.nics import show_power
from karbor.sandbox.compute.rules import (
    ROOT,
    change,
    check_text,
    find_server,
    invalid,
    require_admin,
    require_state,
    require_unlocked,
)
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, job

Action = Callable[[State, Request, Object, Any], Answer]

ACTIONS: dict[str, Action] = {}
# action: the verb of refusals, from which vm_states, by which task_state, to which vm_state
MOVES = {
    "os-start": ("start", ("stopped",), "powering-on", "active"),
    "os-stop": ("stop", ("active", "error"), "powering-off", "stopped"),
    "pause": ("pause", ("active",), "pausing", "paused"),
    "unpause": ("unpause", ("paused",), "unpausing", "active"),
    "suspend": ("suspend", ("active",), "suspending", "suspended"),
    "resume": ("resume", ("suspended",), "resuming", "active"),
    "unrescue": ("unrescue", ("rescued",), "unrescuing", "active"),
}


def action(name: str) -> Callable[[Action], Action]:
    """Register what `POST /servers/{id}/action {name: arguments}` does."""

    def register(function: Action) -> Action:
        ACTIONS[name] = function
        return function

    return register


@route("POST", f"{ROOT}/servers/{{id}}/action")
def act(state: State, request: Request, id: str) -> Answer:
    """One action, the only key of the body."""
    server = find_server(state, request, id)
    body = request.json()
    if len(body) != 1:
        raise Fault(400, "There is no such action: one is expected")
    name, arguments = next(iter(body.items()))
    if name in MOVES:
        return _move(state, request, server, name)
    if name not in ACTIONS:
        raise Fault(400, f"There is no such action: {name}")
    if arguments is not None and not isinstance(arguments, dict):
        raise invalid(name, arguments, f"{arguments!r} is not of type 'object'")
    return ACTIONS[name](state, request, server, arguments)


def require_scheduled(server: Object) -> None:
    """Raises Fault 404 for a server that is so new that actions do not find it."""
    if not server["scheduled"]:
        raise Fault(404, f"Instance {server['id']} could not be found.")


def _move(state: State, request: Request, server: Object, name: str) -> Answer:
    verb, before, task, after = MOVES[name]
    require_scheduled(server)
    require_unlocked(request, server)
    require_state(server, verb, before)
    change(state, server, task_state=task)
    state.later(None, "compute.move", id=server["id"], task=task, after=after)
    return Answer(202)


@job("compute.move")
def move(state: State, id: str, task: str, after: str, error: bool = False) -> None:
    """The server is where an action was to bring it, or still where it was when that failed."""
    server = state.table("server").get(id)
    if server is None or server["task_state"] != task:
        return
    change(state, server, task_state=None, **({} if error else {"vm_state": after}))
    show_power(state, server, on=server["vm_state"] in ("active", "rescued"))


@action("reboot")
def reboot(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """Start the guest anew; HARD also from where it does not run."""
    kind = str((arguments or {}).get("type", "")).upper()
    if kind not in ("SOFT", "HARD"):
        raise invalid("type", kind, f"{kind!r} is not one of ['HARD', 'SOFT']")
    require_scheduled(server)
    require_unlocked(request, server)
    require_state(
        server, "reboot", ("active",) if kind == "SOFT" else ("active", "stopped", "paused", "suspended", "error")
    )
    task = "rebooting" if kind == "SOFT" else "rebooting_hard"
    change(state, server, task_state=task)
    state.later(None, "compute.move", id=server["id"], task=task, after="active")
    return Answer(202)


@action("rescue")
def rescue(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """Start the guest from a fresh copy of its image, with its own disk beside that."""
    require_scheduled(server)
    require_unlocked(request, server)
    require_state(server, "rescue", ("active", "stopped", "error"))
    if not server["own_disk"]:
        raise Fault(400, f"Instance {server['id']} cannot be rescued: Cannot rescue a volume-backed instance")
    change(state, server, task_state="rescuing")
    state.later(None, "compute.move", id=server["id"], task="rescuing", after="rescued")
    return Answer(200, {"adminPass": secrets.token_urlsafe(9)})


@action("lock")
def lock(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """Keep members from changing the server; a reason may be given from 2.73 on."""
    if not server["scheduled"]:
        raise Fault(500, "Unexpected API Error. <class 'oslo_db.exception.DBReferenceError'>", "computeFault")
    reason = None
    if request.microversion("compute") >= (2, 73) and isinstance(arguments, dict):
        reason = arguments.get("locked_reason")
        if reason is not None:
            check_text("locked_reason", reason, shortest=1)
    change(state, server, locked={"by": "admin" if request.is_admin else "owner", "reason": reason})
    return Answer(202)


@action("unlock")
def unlock(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """Undo a lock; one that an admin set is his to undo."""
    if server["locked"] and server["locked"]["by"] == "admin":
        require_admin(request, "os_compute_api:os-lock-server:unlock:unlock_override")
    change(state, server, locked=None)
    return Answer(202)


@action("os-getConsoleOutput")
def console_output(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """The guest's console, of which there is not much."""
    require_state(server, "get_console_output", ("active", "stopped", "paused", "suspended"))
    return Answer(200, {"output": f"{server['hostname']} login: \n"})


@action("os-resetState")
def reset_state(state: State, request: Request, server: Object, arguments: Any) -> Answer:
    """An admin sets the state by hand."""
    require_admin(request, "os_compute_api:os-admin-actions:reset_state")
    wanted = (arguments or {}).get("state")
    if wanted not in ("active", "error"):
        raise invalid("state", wanted, f"{wanted!r} is not one of ['active', 'error']")
    change(state, server, vm_state=wanted, task_state=None)
    return Answer(202)
