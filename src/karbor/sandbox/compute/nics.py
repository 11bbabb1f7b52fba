"""A server's network interfaces: which ports it asks for, how it gets them and how it lets them go."""

from __future__ import annotations

from typing import Any

from karbor.sandbox.compute.rules import ZONE, change, check_tag, invalid
from karbor.sandbox.http import Fault, Request
from karbor.sandbox.network import addresses, ports
from karbor.sandbox.network.attributes import UNSET
from karbor.sandbox.network.collection import quota_for, touch
from karbor.sandbox.network.networks import is_visible, ports_on
from karbor.sandbox.network.security_groups import default_group
from karbor.sandbox.state import Object, State

OWNER = f"compute:{ZONE}"


def plan_nics(state: State, request: Request, networks: Any) -> list[Object]:
    """What each interface is to be, in order: {port_id} or {network_id, fixed_ip}, and {tag}. Raises Fault 400 or 409.

    `networks` is what the client sent: a list, "none", or "auto" (or nothing) for the only network there is.
    """
    if networks == "none":
        return []
    if networks in (None, [], "auto"):
        return _automatic(state, request, explicit=networks == "auto")
    if not isinstance(networks, list):
        raise invalid("networks", networks, "it is neither a list nor 'none' nor 'auto'")
    return [_plan(state, request, one) for one in networks]


def _automatic(state: State, request: Request, *, explicit: bool) -> list[Object]:
    tables = state.table("network").values()
    found = [one for one in tables if one["project_id"] == request.project_id and not one["router:external"]]
    found = found or [one for one in tables if one["shared"]]
    if len(found) > 1:
        raise Fault(409, "Multiple possible networks found, use a Network ID to be more specific.")
    if not found and explicit:
        raise Fault(400, "Unable to automatically allocate a network for this project.")
    return [{"network_id": one["id"], "fixed_ip": None, "tag": None, "forbidden": False} for one in found]


def _plan(state: State, request: Request, asked: Any) -> Object:
    if not isinstance(asked, dict) or set(asked) - {"uuid", "port", "fixed_ip", "tag"}:
        raise invalid("networks", asked, "only uuid, port, fixed_ip and tag are known")
    tag = check_tag(asked.get("tag"))
    if asked.get("port") is not None:
        return {"port_id": find_free_port(state, request, asked["port"])["id"], "tag": tag}
    network = state.table("network").get(asked.get("uuid") or "")
    if network is None or not (request.is_admin or is_visible(state, request, network)):
        raise Fault(400, f"Network {asked.get('uuid')} could not be found.")
    if not network["subnets"]:
        raise Fault(400, f"Network {network['id']} requires a subnet in order to boot instances on.")
    wanted = asked.get("fixed_ip")
    if wanted is not None and any(
        one["ip_address"] == wanted for port in ports_on(state, network["id"]) for one in port["fixed_ips"]
    ):
        raise Fault(400, f"Fixed IP address {wanted} is already in use on instance.")
    forbidden = network["router:external"] and not network["shared"] and not request.is_admin
    return {"network_id": network["id"], "fixed_ip": wanted, "tag": tag, "forbidden": forbidden}


def find_free_port(state: State, request: Request, id: str) -> Object:
    """A port that the caller may plug in. Raises Fault 400 where there is none, 409 where it is in use."""
    port = state.table("port").get(id)
    if port is None or not (request.is_admin or port["project_id"] == request.project_id):
        raise Fault(400, f"Port {id} could not be found.")
    if port["device_id"]:
        raise Fault(409, f"Port {id} is still in use.")
    if not port["fixed_ips"]:
        raise Fault(400, f"Port {id} requires a FixedIP in order to be used.")
    return port


def find_groups(state: State, request: Request, asked: Any) -> list[str]:
    """The ids of the security groups that ports made by Nova get. Raises Fault 400 for one that is not there."""
    if not all(isinstance(one, dict) for one in asked or []):
        raise invalid("security_groups", asked, "it is not a list of objects with a name")
    names = [one.get("name") for one in asked or []]
    found = []
    for name in names:
        group = next(
            (
                one
                for one in state.table("security_group").values()
                if one["project_id"] == request.project_id and name in (one["id"], one["name"])
            ),
            None,
        )
        if group is None:
            raise Fault(400, f"Security group {name} not found for project {request.project_id}.")
        found.append(group["id"])
    return found or [default_group(state, request.project_id)["id"]]


def check_port_quota(state: State, project_id: str, planned: list[Object]) -> None:
    """Raises Fault 403 where Nova would have to make more ports than the project may have."""
    try:
        quota_for(state, project_id, "port", sum("network_id" in one for one in planned))
    except Fault:
        raise Fault(403, "Maximum number of ports exceeded") from None


def connect(state: State, server: Object, planned: Object) -> Object:
    """Plug a planned interface in; the port. Raises Fault where the port is gone or taken, or no address is free."""
    if "port_id" in planned:
        port = state.table("port").get(planned["port_id"])
        if port is None or port["device_id"]:
            raise Fault(400, f"Port {planned['port_id']} is not usable.")
    else:
        port = _make_port(state, server, planned)
    ports.bind(state, port, device_id=server["id"], device_owner=OWNER, host=server["host"])
    nic = {"port_id": port["id"], "tag": planned["tag"], "made": "network_id" in planned}
    change(state, server, nics=[*server["nics"], nic])
    return port


def _make_port(state: State, server: Object, planned: Object) -> Object:
    network = state.table("network").get(planned["network_id"])
    if network is None:
        raise Fault(400, f"Network {planned['network_id']} could not be found.")
    if planned["forbidden"]:
        raise Fault(403, f"It is not allowed to create an interface on external network {network['id']}")
    mac = addresses.draw_mac(state, network["id"])
    asked = [{"ip_address": planned["fixed_ip"]}] if planned["fixed_ip"] else UNSET
    port = ports.new_port(
        network,
        mac,
        project_id=server["project_id"],
        fixed_ips=addresses.allocate(state, network, asked, mac),
        security_groups=server["security_group_ids"] if network["port_security_enabled"] else [],
    )
    state.save("port", port)
    state.count("port", "")
    return port


def disconnect(state: State, server: Object, port_id: str) -> None:
    """Unplug a port: one that Nova made goes, one that was given is free again."""
    nic = next(one for one in server["nics"] if one["port_id"] == port_id)
    change(state, server, nics=[one for one in server["nics"] if one is not nic])
    port = state.table("port").get(port_id)
    if port is None or port["device_id"] != server["id"]:
        return
    if nic["made"]:
        ports.drop_port(state, port)
    else:
        ports.unbind(state, port)


def ports_of(state: State, server: Object) -> list[Object]:
    """The server's ports in the order of its interfaces; one that was deleted under it is no longer among them."""
    found = [state.table("port").get(nic["port_id"]) for nic in server["nics"]]
    return [port for port in found if port is not None and port["device_id"] == server["id"]]


def show_power(state: State, server: Object, *, on: bool) -> None:
    """Let the ports tell whether the guest runs."""
    for port in ports_of(state, server):
        touch(state, "port", port, status="ACTIVE" if on else "DOWN")
