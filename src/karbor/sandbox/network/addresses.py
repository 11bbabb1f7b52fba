"""Which addresses and MACs a port gets, and which are refused (Neutron's IPAM)."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from typing import Any

from karbor.sandbox.http import Fault
from karbor.sandbox.network.attributes import UNSET, invalid_input
from karbor.sandbox.network.networks import ports_on
from karbor.sandbox.state import Object, State

INTERFACE = "network:router_interface"
AUTOMATIC = ("slaac", "dhcpv6-stateless")

FixedIp = dict[str, str]


def is_automatic(subnet: Object) -> bool:
    """Whether ports make their own address in this subnet out of their MAC."""
    return subnet["ipv6_address_mode"] in AUTOMATIC


def automatic(subnet: Object, mac: str) -> FixedIp:
    """The address that a host makes of its MAC (RFC 4291, modified EUI-64)."""
    octets = [int(part, 16) for part in mac.split(":")]
    halves = [octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]]
    number = int(ipaddress.ip_network(subnet["cidr"]).network_address) + int.from_bytes(bytes(halves), "big")
    return {"subnet_id": subnet["id"], "ip_address": str(ipaddress.ip_address(number))}


def draw_mac(state: State, network_id: str, wanted: str = UNSET, *, besides: str = "") -> str:
    """A MAC address that nobody in the network has. Raises Fault 409 where another port than `besides` has `wanted`."""
    taken = {port["mac_address"] for port in ports_on(state, network_id) if port["id"] != besides}
    if wanted is UNSET:
        return next(mac for mac in _random_macs() if mac not in taken)
    if wanted in taken:
        raise Fault(409, f"The mac address {wanted} is in use in network {network_id}.", "MacAddressInUse")
    return wanted


def _random_macs() -> Iterator[str]:
    while True:
        yield "fa:16:3e:" + secrets.token_bytes(3).hex(":")


def allocate(
    state: State, network: Object, asked: Any, mac: str, *, owner: str = "", besides: str = ""
) -> list[FixedIp]:
    """The fixed IPs of a port: those asked for (UNSET: one of each family), and one of each automatic subnet.

    Addresses of choice come first, so that none of them is drawn for an entry that leaves it open.

    `asked` is a list of {subnet_id?, ip_address?}; `besides` is the port that has addresses already and changes them.
    Raises Fault 400 for addresses that cannot be, 409 for those that are taken or where there are no more.
    """
    room = _Room(state, network, mac, owner, besides)
    if asked is UNSET:
        found = room.one_of_each_family()
    else:
        found = [room.take(**one) for one in sorted(asked, key=lambda one: "ip_address" not in one)]
    if owner != INTERFACE:
        named = {one["subnet_id"] for one in found}
        found += [automatic(one, mac) for one in room.subnets if is_automatic(one) and one["id"] not in named]
    return found


class _Room:
    """The addresses of a network while one port gets its own; those taken in any of its subnets are in `taken`."""

    def __init__(self, state: State, network: Object, mac: str, owner: str, besides: str) -> None:
        self.state = state
        self.network_id = network["id"]
        self.subnets = [state.table("subnet")[id] for id in network["subnets"]]
        self.mac = mac
        self.is_interface = owner == INTERFACE
        others = [port for port in ports_on(state, network["id"]) if port["id"] != besides]
        self.taken = {fixed["ip_address"] for port in others for fixed in port["fixed_ips"]}

    def one_of_each_family(self) -> list[FixedIp]:
        """An address for a port that asks for none: IPv4 and IPv6, where there are such subnets."""
        found = []
        for version in (4, 6):
            family = [one for one in self.subnets if one["ip_version"] == version]
            family = [one for one in family if not is_automatic(one) and not one["service_types"]]
            if family:
                free = next((fixed for subnet in family if (fixed := self._draw(subnet))), None)
                found.append(free or self._refuse())
        return found

    def take(self, subnet_id: str | None = None, ip_address: str | None = None) -> FixedIp:
        """One address as asked for."""
        if subnet_id is None and ip_address is None:
            raise invalid_input("IP allocation requires subnet_id or ip_address")
        subnet = self._subnet(subnet_id) if subnet_id else self._subnet_with(ip_address or "")
        if ip_address is not None:
            self._check(subnet, ip_address)
            self.taken.add(ip_address)
            return {"subnet_id": subnet["id"], "ip_address": ip_address}
        if is_automatic(subnet) and not self.is_interface:
            return automatic(subnet, self.mac)
        return self._draw(subnet) or self._refuse()

    def _subnet(self, id: str) -> Object:
        found = next((one for one in self.subnets if one["id"] == id), None)
        if found is None and id not in self.state.table("subnet"):
            raise Fault(404, f"Subnet {id} could not be found.", "SubnetNotFound")
        if found is None:
            raise invalid_input(f"fixed_ips names subnet {id}, which is not of network {self.network_id}")
        return found

    def _subnet_with(self, ip: str) -> Object:
        found = next((one for one in self.subnets if _holds(one, ip)), None)
        if found is None:
            raise Fault(400, f"IP address {ip} is of no subnet of network {self.network_id}.", "InvalidIpForNetwork")
        return found

    def _check(self, subnet: Object, ip: str) -> None:
        if not _holds(subnet, ip):
            raise Fault(400, f"IP address {ip} is not a valid IP for the specified subnet.", "InvalidIpForSubnet")
        if is_automatic(subnet) and not self.is_interface:
            reason = f"IPv6 address {ip} cannot be chosen: addresses of subnet {subnet['id']} are automatic."
            raise Fault(400, reason, "AllocationOnAutoAddressSubnet")
        if ip in self.taken:
            raise Fault(409, f"IP address {ip} already allocated in subnet {subnet['id']}", "IpAddressAlreadyAllocated")

    def _draw(self, subnet: Object) -> FixedIp | None:
        """The next free address after the one drawn last, so that one just given back is not drawn again at once."""
        last = self.state.table("last_address").get(subnet["id"], {"number": -1})["number"]
        for number in _numbers(subnet, last):
            ip = str(ipaddress.ip_address(number))
            if ip not in self.taken:
                self.taken.add(ip)
                self.state.save("last_address", {"id": subnet["id"], "number": number})
                return {"subnet_id": subnet["id"], "ip_address": ip}
        return None

    def _refuse(self) -> FixedIp:
        raise Fault(409, f"No more IP addresses available on network {self.network_id}.", "IpAddressGenerationFailure")


def _holds(subnet: Object, ip: str) -> bool:
    """Whether a port can have this address in the subnet; the edges of an IPv4 network are nobody's."""
    address = ipaddress.ip_address(ip)
    net = ipaddress.ip_network(subnet["cidr"])
    edges = (net.network_address, net.broadcast_address) if net.version == 4 and net.prefixlen < 31 else ()
    return address.version == net.version and address in net and address not in edges


def _numbers(subnet: Object, last: int) -> Iterator[int]:
    """All addresses of the pools, first those after `last`."""
    pools = [
        (int(ipaddress.ip_address(pool["start"])), int(ipaddress.ip_address(pool["end"])))
        for pool in subnet["allocation_pools"]
    ]
    for start, end in pools:
        yield from range(max(start, last + 1), end + 1)
    for start, end in pools:
        yield from range(start, min(end, last) + 1)
