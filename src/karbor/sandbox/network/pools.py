"""The ranges of a subnet from which addresses are drawn."""

from __future__ import annotations

import ipaddress
from itertools import pairwise

from karbor.sandbox.http import Fault

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
Pools = list[dict[str, str]]


def whole_range(net: Net, gateway: str | None) -> Pools:
    """All addresses of a network but its edges and its gateway."""
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.num_addresses > 2:
        first, last = first + 1, last - (1 if net.version == 4 else 0)
    ranges = [(first, last)]
    door = -1 if gateway is None else int(ipaddress.ip_address(gateway))
    if first <= door <= last:
        ranges = [(first, door - 1), (door + 1, last)]
    kind = type(net.network_address)
    return [{"start": str(kind(start)), "end": str(kind(end))} for start, end in ranges if start <= end]


def checked_pools(net: Net, gateway: str | None, pools: Pools) -> Pools:
    """`pools` as given. Raises Fault 400 or 409 where they leave the network, overlap or hold the gateway."""
    lowest, highest = int(net.network_address), int(net.broadcast_address)
    door = None if gateway is None else int(ipaddress.ip_address(gateway))
    ranges = []
    for pool in pools:
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
        text = f"{start}-{end}"
        if start.version != net.version or end.version != net.version or int(start) > int(end):
            raise Fault(400, f"The allocation pool {text} is not valid.", "InvalidAllocationPool")
        if int(start) < lowest or int(end) > highest:
            raise Fault(
                400, f"The allocation pool {text} spans beyond the subnet cidr {net}.", "OutOfBoundsAllocationPool"
            )
        if door is not None and int(start) <= door <= int(end):
            raise Fault(
                409,
                f"Gateway ip {gateway} conflicts with allocation pool {text}.",
                "GatewayConflictWithAllocationPools",
            )
        ranges.append((int(start), int(end), text))
    for (_, end_before, before), (start_after, _, after) in pairwise(sorted(ranges)):
        if start_after <= end_before:
            raise Fault(
                409,
                f"Found overlapping allocation pools: {before} {after} for subnet {net}.",
                "OverlappingAllocationPools",
            )
    return pools
