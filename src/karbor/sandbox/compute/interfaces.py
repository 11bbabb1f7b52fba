"""Network interfaces of a server, listed, and plugged in and out after it was made."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute import nics
from karbor.sandbox.compute.rules import (
    ROOT,
    body_of,
    change,
    find_server,
    invalid,
    require_state,
    require_unlocked,
)
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State, job

PATH = f"{ROOT}/servers/{{id}}/os-interface"
STATES = ("active", "stopped", "paused")


def _view(request: Request, server: Object, port: Object) -> dict[str, Any]:
    view = {
        "port_id": port["id"],
        "net_id": port["network_id"],
        "mac_addr": port["mac_address"],
        "port_state": port["status"],
        "fixed_ips": port["fixed_ips"],
    }
    if request.microversion("compute") >= (2, 70):
        view["tag"] = next(nic["tag"] for nic in server["nics"] if nic["port_id"] == port["id"])
    return view


def _find(state: State, server: Object, port_id: str) -> Object:
    port = next((port for port in nics.ports_of(state, server) if port["id"] == port_id), None)
    if port is None:
        raise Fault(404, f"No such interface: {port_id}")
    return port


@route("GET", PATH)
def list_interfaces(state: State, request: Request, id: str) -> Answer:
    """The server's interfaces, in no order that means anything."""
    server = find_server(state, request, id)
    found = sorted(nics.ports_of(state, server), key=lambda port: str(port["id"]))
    return Answer(200, {"interfaceAttachments": [_view(request, server, port) for port in found]})


@route("GET", f"{PATH}/{{port_id}}")
def show_interface(state: State, request: Request, id: str, port_id: str) -> Answer:
    """One interface."""
    server = find_server(state, request, id)
    return Answer(200, {"interfaceAttachment": _view(request, server, _find(state, server, port_id))})


@route("POST", PATH)
def attach_interface(state: State, request: Request, id: str) -> Answer:
    """Plug in a port made before, or one that Nova makes in a network."""
    server = find_server(state, request, id)
    allowed = {"port_id", "net_id", "fixed_ips"} | ({"tag"} if request.microversion("compute") >= (2, 49) else set())
    body = body_of(request, "interfaceAttachment", allowed)
    if ("port_id" in body) == ("net_id" in body):
        raise Fault(400, "Must input exactly one of network_id and port_id")
    require_unlocked(request, server)
    require_state(server, "attach_interface", STATES)
    asked = (
        {"port": body["port_id"]}
        if "port_id" in body
        else {"uuid": body["net_id"], "fixed_ip": _wish(body.get("fixed_ips"))}
    )
    if "port_id" in body and body["port_id"] not in state.table("port"):
        raise Fault(404, f"Port id {body['port_id']} could not be found.")
    planned = nics.plan_nics(state, request, [{**asked, "tag": body.get("tag")}])
    nics.check_port_quota(state, request.project_id, planned)
    port = nics.connect(state, server, planned[0])
    return Answer(200, {"interfaceAttachment": _view(request, server, port)})


def _wish(fixed_ips: Any) -> Any:
    """The one address that may be asked for: [{"ip_address": ...}]."""
    if not fixed_ips:
        return None
    if not isinstance(fixed_ips, list) or not isinstance(fixed_ips[0], dict) or "ip_address" not in fixed_ips[0]:
        raise invalid("fixed_ips", fixed_ips, "it is not a list of an object with ip_address")
    return fixed_ips[0]["ip_address"]


@route("DELETE", f"{PATH}/{{port_id}}")
def detach_interface(state: State, request: Request, id: str, port_id: str) -> Answer:
    """Plug an interface out; nothing is said of one that is not there."""
    server = find_server(state, request, id)
    require_unlocked(request, server)
    require_state(server, "detach_interface", STATES)
    state.later(None, "compute.detach_interface", id=id, port_id=port_id)
    return Answer(202)


@job("compute.detach_interface")
def finish_detach(state: State, id: str, port_id: str, error: bool = False) -> None:
    """The server has the interface no more."""
    server = state.table("server").get(id)
    if server is not None and not error and any(nic["port_id"] == port_id for nic in server["nics"]):
        nics.disconnect(state, server, port_id)
        change(state, server)
