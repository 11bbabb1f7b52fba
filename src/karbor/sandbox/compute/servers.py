"""Servers: created, listed, shown, renamed, deleted."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute import views
from karbor.sandbox.compute.build import SHARE
from karbor.sandbox.compute.creation import check_hostname, check_name, new_server
from karbor.sandbox.compute.listing import select_servers
from karbor.sandbox.compute.nics import ports_of
from karbor.sandbox.compute.rules import (
    ROOT,
    body_of,
    change,
    check_text,
    find_server,
    links,
    page,
    require_unlocked,
)
from karbor.sandbox.http import Answer, Fault, Request, route
from karbor.sandbox.state import Object, State

PATH = f"{ROOT}/servers"


@route("POST", PATH)
def create_server(state: State, request: Request) -> Answer:
    """A new server, which is built after the answer."""
    server, password = new_server(state, request)
    state.later(state.delay * SHARE, "compute.schedule", id=server["id"])
    groups = [state.table("security_group")[id]["name"] for id in server["security_group_ids"]]
    told = {
        "id": server["id"],
        "links": links(request, f"servers/{server['id']}"),
        "OS-DCF:diskConfig": server["disk_config"],
        "security_groups": [{"name": name} for name in groups],
        "adminPass": password,
    }
    return Answer(202, {"server": told}, headers={"Location": f"{request.root}{PATH}/{server['id']}"})


@route("GET", PATH)
def list_servers(state: State, request: Request) -> Answer:
    """Ids and names."""
    shown, more = page(request, select_servers(state, request), "servers", "servers")
    return _listed([views.brief(request, server) for server in shown], more)


@route("GET", f"{PATH}/detail")
def list_servers_detail(state: State, request: Request) -> Answer:
    """Servers with all that can be seen of them."""
    shown, more = page(request, select_servers(state, request), "servers/detail", "servers")
    floating_ips = views.floating_ips_by_port(state)
    return _listed([views.detailed(state, request, server, floating_ips, alone=False) for server in shown], more)


def _listed(shown: list[dict[str, Any]], more: list[dict[str, str]]) -> Answer:
    return Answer(200, {"servers": shown} | ({"servers_links": more} if more else {}))


def _shown(state: State, request: Request, server: Object) -> Answer:
    view = views.detailed(state, request, server, views.floating_ips_by_port(state), alone=True)
    return Answer(200, {"server": view})


@route("GET", f"{PATH}/{{id}}")
def show_server(state: State, request: Request, id: str) -> Answer:
    """One server."""
    return _shown(state, request, find_server(state, request, id))


@route("PUT", f"{PATH}/{{id}}")
def update_server(state: State, request: Request, id: str) -> Answer:
    """Change names and addresses; a lock does not hinder it."""
    server = find_server(state, request, id)
    version = request.microversion("compute")
    allowed = {"name", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig"}
    allowed |= {"description"} if version >= (2, 19) else set()
    allowed |= {"hostname"} if version >= (2, 90) else set()
    body = body_of(request, "server", allowed)
    if "name" in body:
        check_name(body["name"])
    if "hostname" in body:
        check_hostname(body["hostname"])
    if body.get("description") is not None:
        check_text("description", body["description"])
    names = {"accessIPv4": "access_ipv4", "accessIPv6": "access_ipv6", "OS-DCF:diskConfig": "disk_config"}
    change(state, server, **{names.get(key, key): value for key, value in body.items()})
    return _shown(state, request, server)


@route("DELETE", f"{PATH}/{{id}}")
def delete_server(state: State, request: Request, id: str) -> Answer:
    """Delete a server in any state; a lock hinders it."""
    server = find_server(state, request, id)
    require_unlocked(request, server)
    if server["vm_state"] == "deleted" or server["task_state"] == "deleting":
        return Answer(204)
    change(state, server, task_state="deleting")
    state.later(None, "compute.remove", id=id)
    return Answer(204)


@route("GET", f"{PATH}/{{id}}/ips")
def list_addresses(state: State, request: Request, id: str) -> Answer:
    """The server's addresses by network."""
    found = views.addresses_of(state, find_server(state, request, id), {})
    return Answer(200, {"addresses": {name: [_plain(one) for one in shown] for name, shown in found.items()}})


@route("GET", f"{PATH}/{{id}}/ips/{{network}}")
def show_addresses(state: State, request: Request, id: str, network: str) -> Answer:
    """The server's addresses in one network."""
    found = views.addresses_of(state, find_server(state, request, id), {})
    if network not in found:
        raise Fault(404, "Instance is not a member of specified network")
    return Answer(200, {network: [_plain(one) for one in found[network]]})


def _plain(address: dict[str, Any]) -> dict[str, Any]:
    return {key: address[key] for key in ("version", "addr")}


@route("GET", f"{PATH}/{{id}}/os-security-groups")
def list_security_groups(state: State, request: Request, id: str) -> Answer:
    """The security groups of the server's ports."""
    ports = ports_of(state, find_server(state, request, id))
    groups = [
        state.table("security_group")[id]
        for id in dict.fromkeys(id for port in ports for id in port["security_groups"])
    ]
    return Answer(
        200,
        {
            "security_groups": [
                {
                    "id": group["id"],
                    "name": group["name"],
                    "description": group["description"],
                    "tenant_id": group["project_id"],
                    "rules": [],
                }
                for group in groups
            ]
        },
    )
