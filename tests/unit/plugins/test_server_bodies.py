"""What is picked out of the services' answers about a server, and what they are asked for to bring it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from karbor.model.errors import Invalid
from karbor.plugins.server import bodies, facts, ports, protect
from karbor.plugins.server.addresses import Address, coming_addresses, led_to
from karbor.plugins.server.bodies import Place
from karbor.plugins.server.facts import ServerFacts

MAC = "fa:16:3e:00:00:01"
PORT: dict[str, Any] = {
    "id": "port-1",
    "name": "web",
    "description": "front",
    "network_id": "net",
    "admin_state_up": True,
    "mac_address": MAC,
    "fixed_ips": [
        {"subnet_id": "four", "ip_address": "10.0.0.5"},
        {"subnet_id": "six", "ip_address": "fd00::f816:3eff:fe00:1"},
    ],
    "security_groups": ["old group"],
    "port_security_enabled": True,
    "allowed_address_pairs": [
        {"ip_address": "10.0.0.100", "mac_address": MAC},
        {"ip_address": "10.0.0.101", "mac_address": "fa:16:3e:00:00:99"},
    ],
    "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 4}],
    "binding:vnic_type": "normal",
    "tags": [],
    "nic_tag": "front",
}
MODES = {"four": None, "six": "slaac"}
OWN = Place("new net", {"four": "new four", "six": "new six"}, own=True)


def port_body(port: dict[str, Any] = PORT, place: Place = OWN, *, taken: Sequence[str] = ()) -> dict[str, Any]:
    return bodies.port_body(port, place, ["new group"], MODES, taken=taken)


def test_a_port_in_a_remade_network_gets_all_that_it_had() -> None:
    assert port_body() == {
        "network_id": "new net",
        "name": "web",
        "description": "front",
        "admin_state_up": True,
        "security_groups": ["new group"],
        "mac_address": MAC,
        "fixed_ips": [{"subnet_id": "new four", "ip_address": "10.0.0.5"}, {"subnet_id": "new six"}],
        "port_security_enabled": True,
        "allowed_address_pairs": [
            {"ip_address": "10.0.0.100", "mac_address": MAC},
            {"ip_address": "10.0.0.101", "mac_address": "fa:16:3e:00:00:99"},
        ],
        "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 4}],
    }


def test_a_port_gives_up_exactly_what_is_taken_and_stays_on_its_subnets() -> None:
    four = {"subnet_id": "four", "ip_address": "10.0.0.6"}
    port = {**PORT, "fixed_ips": [*PORT["fixed_ips"], four]}
    without_address = port_body(port, taken=["10.0.0.5"])
    assert without_address["fixed_ips"] == [
        {"subnet_id": "new four"},
        {"subnet_id": "new six"},
        {"subnet_id": "new four", "ip_address": "10.0.0.6"},
    ]
    assert without_address["mac_address"] == MAC
    assert without_address["allowed_address_pairs"] == port_body()["allowed_address_pairs"]


def test_a_port_whose_mac_is_taken_keeps_its_addresses_and_takes_no_pair_with_the_old_mac() -> None:
    body = port_body(taken=[MAC])
    assert "mac_address" not in body
    assert body["fixed_ips"] == [{"subnet_id": "new four", "ip_address": "10.0.0.5"}, {"subnet_id": "new six"}]
    assert body["allowed_address_pairs"] == [
        {"ip_address": "10.0.0.100"},
        {"ip_address": "10.0.0.101", "mac_address": "fa:16:3e:00:00:99"},
    ]


def test_only_what_a_port_may_ask_for_can_be_taken() -> None:
    assert ports.chosen(port_body()) == ["10.0.0.5", MAC]
    assert ports.chosen(port_body(taken=["10.0.0.5"])) == [MAC]
    assert ports.chosen(port_body(place=OWN._replace(own=False))) == []
    assert ports.chosen(port_body(place=Place("elsewhere", {}, own=True, other=True))) == []


def test_what_a_port_gives_up_is_named() -> None:
    assert ports.given_up(PORT, MODES, ["10.0.0.5"]) == "something living has 10.0.0.5, so the port got others"
    assert ports.given_up(PORT, MODES, [MAC]) == (
        f"something living has {MAC}, so the port got others, and with another MAC also another address than "
        "fd00::f816:3eff:fe00:1"
    )
    assert ports.given_up(PORT, MODES, ["10.0.0.5"], "409") == ("Neutron refused 10.0.0.5, so the port got others: 409")


def test_a_living_port_is_compared_by_what_counts() -> None:
    was = ports.what_counts(PORT)
    pairs = [{"ip_address": "10.0.0.101", "mac_address": "fa:16:3e:00:00:99"}, {"ip_address": "10.0.0.100"}]
    alike = {**PORT, "name": "renamed", "fixed_ips": PORT["fixed_ips"][::-1], "allowed_address_pairs": pairs}
    assert ports.changes(was, ports.what_counts(alike)) == []
    changed = {
        **PORT, "fixed_ips": [{"subnet_id": "four", "ip_address": "10.0.0.7"}], "security_groups": [],
        "allowed_address_pairs": pairs[:1], "admin_state_up": False, "port_security_enabled": False,
    }  # fmt: skip
    assert ports.changes(was, ports.what_counts(changed)) == [
        "admin_state_up False",
        "port_security_enabled False",
        "fixed_ips 10.0.0.7",
        "security_groups none",
        "allowed_address_pairs 10.0.0.101 (fa:16:3e:00:00:99)",
    ]
    bare = {key: value for key, value in PORT.items() if key not in ("port_security_enabled", "allowed_address_pairs")}
    assert ports.changes(ports.what_counts(bare), {**was, "allowed_address_pairs": []}) == []


def floating_ip(id: str, fixed_ip: str) -> dict[str, str]:
    return {"id": id, "fixed_ip": fixed_ip}


def test_each_floating_ip_leads_to_its_own_address_to_its_subnet_or_to_what_is_left() -> None:
    saved = [("a", "10.0.0.5"), ("b", "10.0.0.6"), ("c", "10.1.0.5"), ("b", "10.0.0.7")]
    port = {"fixed_ips": [{"subnet_id": subnet, "ip_address": ip} for subnet, ip in saved]}
    wanted = [floating_ip(ip, ip) for _, ip in saved]
    there = [Address("b", None), Address("b", "10.0.0.7"), Address("a", None)]
    assert led_to(wanted, port, there) == {
        "10.0.0.5": Address("a", None),
        "10.0.0.6": Address("b", None),
        "10.0.0.7": Address("b", "10.0.0.7"),
    }
    there = [Address(None, "10.9.0.1"), Address("b", "10.0.0.6")]
    assert led_to(wanted, port, there) == {"10.0.0.5": there[0], "10.0.0.6": there[1]}


def test_the_addresses_that_a_port_is_going_to_have_are_known_before_it_is_made() -> None:
    coming = partial(coming_addresses, PORT)
    assert coming(OWN, port_body(), ["10.0.0.5"]) == [Address("four", "10.0.0.5")]
    assert coming(OWN, port_body(taken=["10.0.0.5"]), []) == [Address("four", None)]
    assert coming(Place("other", {"six": "6"}, own=True), {"fixed_ips": [{"subnet_id": "6"}]}, []) == []
    for four, addresses in ((True, [Address(None, None)]), (False, [])):
        assert coming(Place("elsewhere", {}, own=True, other=True, four=four), {}, []) == addresses


def test_in_another_projects_network_a_member_asks_for_nothing_that_it_may_not() -> None:
    body = port_body(place=OWN._replace(own=False))
    assert body.keys() & {"mac_address", "allowed_address_pairs", "port_security_enabled"} == set()
    assert all(entry.keys() == {"subnet_id"} for entry in body["fixed_ips"])


def test_in_a_network_that_was_asked_for_neutron_picks_the_addresses() -> None:
    body = port_body(place=Place("elsewhere", {}, own=True, other=True))
    assert "fixed_ips" not in body


def test_a_port_without_addresses_is_asked_for_as_such_everywhere() -> None:
    bare = {**PORT, "fixed_ips": []}
    assert port_body(bare)["fixed_ips"] == []
    assert port_body(bare, Place("elsewhere", {}, own=True, other=True))["fixed_ips"] == []


def test_an_address_whose_subnet_is_gone_is_left_out() -> None:
    place = OWN._replace(subnets={"four": "new four"})
    assert port_body(place=place)["fixed_ips"] == [{"subnet_id": "new four", "ip_address": "10.0.0.5"}]
    assert "fixed_ips" not in port_body(place=OWN._replace(subnets={}))


def test_a_direct_port_says_so_and_a_port_without_security_has_no_groups() -> None:
    port = {**PORT, "binding:vnic_type": "direct", "port_security_enabled": False}
    body = bodies.port_body(port, OWN, [], MODES, "policy")
    assert (body["binding:vnic_type"], body["qos_policy_id"]) == ("direct", "policy")
    assert (body["port_security_enabled"], body["security_groups"]) == (False, [])


SAVED = ServerFacts(
    name="web",
    status="SHUTOFF",
    hostname="web-host",
    metadata={"role": "front"},
    tags=["blue"],
    config_drive=True,
    disk_config="MANUAL",
    trusted_image_certificates=["certificate"],
    user_data="IyEvYmluL3No",
    scheduler_hints={"same_host": "other"},
    ports=[PORT, {**PORT, "id": "port-2", "nic_tag": None}],
    volumes=[
        {"id": "v1", "root": True, "device": "/dev/vda", "delete_on_termination": True, "tag": None},
        {"id": "v2", "root": False, "device": "/dev/vdb", "delete_on_termination": False, "tag": "data"},
    ],
)


def server_body(saved: ServerFacts = SAVED, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": "web", "hostname": "web-host", "flavor": "f", "image": None, "volumes": ["n1", "n2"],
        "ports": ["p1", "p2"], "zone": "nova", "key_name": None, "group": "g",
    }  # fmt: skip
    return bodies.server_body(saved, **{**given, **changes})


def test_a_volume_backed_server_boots_from_its_root_and_no_volume_goes_with_it() -> None:
    body = server_body()
    assert [(each["uuid"], each["boot_index"], each.get("tag")) for each in body["block_device_mapping_v2"]] == [
        ("n1", 0, None),
        ("n2", -1, "data"),
    ]
    assert not any(each["delete_on_termination"] for each in body["block_device_mapping_v2"])
    assert "imageRef" not in body
    assert "trusted_image_certificates" not in body


def test_an_image_booted_server_with_volumes_lists_its_own_disk_first() -> None:
    body = server_body(image="disk")
    first, *others = body["block_device_mapping_v2"]
    assert (first["uuid"], first["boot_index"], first["destination_type"]) == ("disk", 0, "local")
    assert [each["boot_index"] for each in others] == [-1, -1]
    assert body["imageRef"] == "disk"
    assert body["trusted_image_certificates"] == ["certificate"]


def test_an_image_booted_server_without_volumes_needs_no_mapping() -> None:
    assert "block_device_mapping_v2" not in server_body(replace(SAVED, volumes=[]), image="disk", volumes=[])


def test_nics_stand_in_the_saved_order_with_their_tags() -> None:
    assert server_body()["networks"] == [{"port": "p1", "tag": "front"}, {"port": "p2"}]
    assert server_body(replace(SAVED, ports=[]), ports=[])["networks"] == "none"


def test_the_group_joins_the_other_hints_and_what_is_empty_is_not_sent() -> None:
    body = server_body()
    assert body["os:scheduler_hints"] == {"same_host": "other", "group": "g"}
    assert body["config_drive"] is True
    assert "key_name" not in body
    bare = server_body(ServerFacts(), hostname=None, volumes=[], ports=[], zone=None, group=None)
    assert bare == {"name": "web", "flavorRef": "f", "networks": "none"}


def test_a_placeholder_is_put_in_and_never_looked_into() -> None:
    class Unreadable(str):
        def __str__(self) -> str:
            raise TypeError("read")

        def __format__(self, spec: str) -> str:
            raise TypeError("read")

    made = Unreadable("made")
    body = server_body(image=made, volumes=[made, made], ports=[made, made], key_name=made, group=made)
    assert body["imageRef"] is made
    place = Place(made, {"four": made, "six": made}, own=True, empty=True)
    assert bodies.port_body(PORT, place, [made], MODES)["network_id"] is made


def nic(id: str, mac: str, network: str = "a", created: str = "") -> dict[str, Any]:
    return {"id": id, "mac_address": mac, "network_id": network, "created_at": created}


def addresses(**networks: list[str]) -> dict[str, Any]:
    return {"addresses": {name: [{"OS-EXT-IPS-MAC:mac_addr": mac} for mac in macs] for name, macs in networks.items()}}


def test_nics_follow_the_addresses_inside_a_network_and_those_without_one_come_last() -> None:
    ports = [nic("bare", "m0"), nic("second", "m2"), nic("first", "m1")]
    ordered = facts.nic_order(addresses(a=["m1", "m1", "m2"]), ports)
    assert [port["id"] for port in ordered] == ["first", "second", "bare"]


def test_nics_of_several_networks_are_merged_by_age_without_losing_the_order_inside_each() -> None:
    ports = [nic("b1", "m3", "b", "02"), nic("a1", "m1", "a", "01"), nic("a2", "m2", "a", "03")]
    assert [port["id"] for port in facts.nic_order(addresses(a=["m1", "m2"], b=["m3"]), ports)] == ["a1", "b1", "a2"]


def test_disks_are_counted_as_the_guest_does() -> None:
    attachments = [{"volumeId": device, "device": f"/dev/{device}"} for device in ("vdaa", "vdb", "vdz", "vda")]
    assert [volume["id"] for volume in facts.volume_facts(attachments, "vda")] == ["vda", "vdb", "vdz", "vdaa"]
    assert [volume["root"] for volume in facts.volume_facts(attachments, "vda")] == [True, False, False, False]


def test_a_snapshot_leaves_behind_what_is_not_the_disks() -> None:
    snapshot: dict[str, Any] = {
        "protected": False, "os_hidden": False, "tags": [],
        "id": "i", "name": "n", "status": "active", "size": 9, "virtual_size": 10, "checksum": "c", "owner": "p",
        "os_hash_algo": "sha512", "os_hash_value": "h", "stores": "s", "os_glance_failed_import": "", "self": "/",
        "base_image_ref": "b", "instance_uuid": "u", "image_type": "snapshot", "karbor": "karbor-tag",
        "ramdisk_id": None, "disk_format": "raw", "container_format": "bare", "min_disk": 1, "min_ram": 0,
        "hw_disk_bus": "scsi", "visibility": "private", "owner_specified.openstack.md5": "",
    }  # fmt: skip
    kept = facts.disk_facts(snapshot, mark="karbor")
    assert kept["properties"] == {"hw_disk_bus": "scsi"}
    assert bodies.disk_body(ServerFacts(disk={"image": kept}), "web") == {
        "name": "web-disk", "visibility": "private", "disk_format": "raw", "container_format": "bare", "min_disk": 1,
        "min_ram": 0, "hw_disk_bus": "scsi",
    }  # fmt: skip


def test_what_nobody_can_keep_is_named() -> None:
    server = {
        "status": "PAUSED",
        "flavor": {"ephemeral": 1, "swap": 0, "extra_specs": {"hw:tpm_version": "2.0"}},
        "addresses": {"a": [], "b": []},
    }
    lost = dict(facts.losses(server, user_data=False, hints=True))
    assert set(lost) == {"user_data", "ephemeral disks", "memory", "vTPM", "order of NICs across networks"}


def test_what_is_lost_of_ports_and_of_floating_ips_is_named_where_it_is_set() -> None:
    port = {
        "id": "p", "trunk_details": {"sub_ports": []}, "dns_name": "other", "dns_domain": "example.",
        "propagate_uplink_status": True, "numa_affinity_policy": "legacy",
    }  # fmt: skip
    ports = [port, {"id": "q", "dns_name": "web", "propagate_uplink_status": False, "dns_domain": ""}, {"id": "r"}]
    assert {name for name, _ in facts.port_losses("Web", ports)} == {f"{key} of port p" for key in port.keys() - {"id"}}
    set_ = {"dns_name": "web", "dns_domain": "example.", "qos_policy_id": "gold"}
    floating_ips = [
        {"floating_ip_address": "1.2.3.4", **set_},
        {"floating_ip_address": "1.2.3.5", **dict.fromkeys(set_, "")},
        {"floating_ip_address": "1.2.3.6"},
    ]
    lost = {name for name, _ in facts.floating_ip_losses(floating_ips)}
    assert lost == {f"{key} of floating IP 1.2.3.4" for key in set_}


def test_a_forwarded_port_is_named_by_the_port_it_leads_to_or_by_its_address() -> None:
    by_port = {"external_port": 80, "internal_port_id": "port-1", "internal_ip_address": "10.0.0.5"}
    by_address = {"external_port": 81, "internal_ip_address": "10.0.0.5"}
    elsewhere = {"external_port": 82, "internal_port_id": "other", "internal_ip_address": "10.0.0.5"}
    floating_ips = [
        {"floating_ip_address": "1.2.3.4", "port_forwardings": [by_port, by_address, elsewhere]},
        {"floating_ip_address": "1.2.3.5", "port_forwardings": None},
    ]
    assert [name for name, _ in facts.forwarded(floating_ips, [PORT])] == [
        "port 80 of floating IP 1.2.3.4",
        "port 81 of floating IP 1.2.3.4",
    ]


def test_options_that_nova_would_refuse_are_refused_first() -> None:
    assert protect.given_user_data("IyEvYmluL3No") == "IyEvYmluL3No"
    assert protect.given_hints('{"group": "old", "different_host": ["x"]}') == {"different_host": ["x"]}
    with pytest.raises(Invalid, match="not base64"):
        protect.given_user_data("#!/bin/sh")
    for text in ("[1]", "{", "3"):
        with pytest.raises(Invalid, match="scheduler_hints"):
            protect.given_hints(text)


@pytest.mark.parametrize("status", ["SUSPENDED", "BUILD", "ERROR", "SHELVED_OFFLOADED", "RESCUE"])
def test_a_server_in_another_state_is_refused_with_a_way_out(status: str) -> None:
    with pytest.raises(Invalid, match=f"'web'.*is {status}.*first"):
        protect.check_state({"id": "s", "name": "web", "status": status})


def test_a_server_whose_cell_is_down_has_nothing_but_its_id() -> None:
    with pytest.raises(Invalid, match=r"\(s\) is UNKNOWN.*has to answer first"):
        protect.check_state({"id": "s", "status": "UNKNOWN"})
