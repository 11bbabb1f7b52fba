"""Which IPv4 address of its port each floating IP leads to: told before the port is made, again when it is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from karbor.plugins.server.bodies import Body, Place
from karbor.plugins.server.facts import Facts


class Address(NamedTuple):
    """An IPv4 address that a port has or is going to have."""

    subnet: str | None
    """The saved subnet in whose counterpart it is; None where there is no such one."""
    ip: str | None
    """None where the network is going to choose it."""


def living_addresses(fixed_ips: Iterable[Facts], place: Place) -> list[Address]:
    """The addresses of a port that is there, in its place."""
    saved = {living: saved for saved, living in place.subnets.items()}
    return [
        Address(saved.get(each["subnet_id"]), each["ip_address"]) for each in fixed_ips if _is_four(each["ip_address"])
    ]


def coming_addresses(port: Facts, place: Place, body: Body, chosen: Collection[str]) -> list[Address]:
    """The addresses that a saved port will have when it is made of `body`, which asks for those that are `chosen`.

    Where the body asks for nothing Neutron gives one of each family that the network has.
    """
    if "fixed_ips" not in body:
        return [Address(None, None)] if place.four else []
    return [
        Address(each["subnet_id"], each["ip_address"] if each["ip_address"] in chosen else None)
        for each in port["fixed_ips"]
        if each["subnet_id"] in place.subnets and _is_four(each["ip_address"])
    ]


def led_to(floating_ips: Sequence[Facts], port: Facts, addresses: Iterable[Address]) -> dict[str, Address]:
    """To which address of a port each of the `floating_ips` of one external network leads, by their ids.

    To its saved one where that is among them, else to another of the same subnet, else to any; never two to one, which
    Neutron refuses. Those for which none is left are missing. `port` is the saved one.
    """
    subnets = {each["ip_address"]: each["subnet_id"] for each in port["fixed_ips"]}
    free = sorted(addresses, key=lambda each: (each.subnet or "", each.ip or ""))
    found: dict[str, Address] = {}

    def assign(floating_ip: Facts, fitting: Iterable[Address]) -> None:
        address = next(iter(fitting), None)
        if address is not None and floating_ip["id"] not in found:
            found[floating_ip["id"]] = address
            free.remove(address)

    for each in floating_ips:
        assign(each, [address for address in free if address.ip == each["fixed_ip"]])
    for each in floating_ips:
        assign(each, [address for address in free if address.subnet == subnets.get(each["fixed_ip"])])
    for each in floating_ips:
        assign(each, free)
    return found


def _is_four(ip: str) -> bool:
    return ":" not in ip
