"""Security groups: made again with all that their rules say of one another, or used and hardly touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from topology import Topology, alike

from karbor.cloud.networks import SECURITY_GROUP, SECURITY_GROUP_RULE
from karbor.model.resource import Ref


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Topology]:
    with Topology(tmp_path) as site:
        yield site
        site.clear()


def group(site: Topology, name: str, **body: object) -> Ref:
    return Ref(SECURITY_GROUP.type, site.create(SECURITY_GROUP, {"name": name, **body}))


def default(site: Topology) -> Ref:
    (found,) = (id for id, each in site.all(SECURITY_GROUP).items() if each["name"] == "default")
    return Ref(SECURITY_GROUP.type, found)


def web_and_db(site: Topology) -> tuple[Ref, Ref]:
    """Two groups that name one another, themselves and the group default."""
    web, db = group(site, "web", description="the shop"), group(site, "db", stateful=False)
    site.tag(f"/security-groups/{web.id}", "shop")
    for rule in site.now(SECURITY_GROUP, db.id)["security_group_rules"]:
        SECURITY_GROUP_RULE.delete(site.cloud(), rule["id"])
    tcp = {"protocol": "tcp", "port_range_min": 5432, "port_range_max": 5432}
    site.rule(db.id, **tcp, remote_group_id=web.id, description="from the shop")
    site.rule(db.id, "egress", description="all of IPv4 out")
    site.rule(web.id, remote_group_id=db.id)
    site.rule(web.id, remote_group_id=web.id, ethertype="IPv6")
    site.rule(web.id, remote_group_id=default(site).id)
    site.rule(web.id, protocol="icmp", port_range_min=8, port_range_max=0)
    site.rule(web.id, protocol="50", remote_ip_prefix="10.0.0.0/8")
    return web, db


def remove_groups(site: Topology, *groups: Ref) -> None:
    for each in groups:
        site.remove(SECURITY_GROUP, each.id)


def test_groups_that_name_one_another_come_back(site: Topology) -> None:
    web, db = web_and_db(site)
    before = [alike(site.now(SECURITY_GROUP, ref.id), "security_group_rules") for ref in (web, db)]
    rules = [site.rules(ref.id) for ref in (web, db)]
    assert [len(each) for each in rules] == [7, 2]
    checkpoint = site.saved_once(web)
    assert site.verify(checkpoint)["status"] == "success"
    remove_groups(site, web, db)

    row = site.restored(checkpoint)

    new = [site.became(row, ref) for ref in (web, db)]
    assert [alike(site.now(SECURITY_GROUP, id), "security_group_rules") for id in new] == before
    assert [site.rules(id) for id in new] == rules
    assert site.became(row, default(site)) == default(site).id
    assert not any(note.startswith("cannot") for note in site.notes_of(row, web).values())


def test_living_groups_that_came_along_are_used(site: Topology) -> None:
    web, db = web_and_db(site)
    checkpoint = site.saved_once(site.everything)
    before, rules = site.ids(), site.rules(web.id)

    row = site.restored(checkpoint)

    assert site.made(row) == []
    assert site.ids() == before
    assert site.rules(web.id) == rules
    assert site.became(row, db) == db.id


def test_a_living_group_gets_the_rule_that_went_with_the_group_it_names(site: Topology) -> None:
    web, db = web_and_db(site)
    site.rule(default(site).id, protocol="tcp", port_range_min=80, port_range_max=80, remote_group_id=web.id)
    rules = {ref: site.rules(ref.id) for ref in (web, db, default(site))}
    checkpoint = site.saved_once(site.everything)
    remove_groups(site, web)
    by_hand = site.rule(db.id, protocol="udp", remote_ip_prefix="10.1.2.0/24")

    row = site.restored(checkpoint)

    SECURITY_GROUP_RULE.delete(site.cloud(), by_hand)
    assert site.became(row, db) == db.id
    assert site.rules(site.became(row, web)) == rules[web]
    assert site.rules(db.id) == rules[db]
    assert site.rules(default(site).id) == rules[default(site)]


def test_what_has_changed_of_a_living_group_is_told(site: Topology) -> None:
    web, db = web_and_db(site)
    site.rule(default(site).id, protocol="udp", port_range_min=53, port_range_max=53)
    checkpoint = site.saved_once(site.everything)
    remove_groups(site, web)
    for ref in (db, default(site)):
        for rule in site.now(SECURITY_GROUP, ref.id)["security_group_rules"]:
            if rule["description"] == "all of IPv4 out" or rule["protocol"] == "udp":
                SECURITY_GROUP_RULE.delete(site.cloud(), rule["id"])
    site.rule(db.id, protocol="tcp", port_range_min=1, port_range_max=65535, remote_ip_prefix="192.0.2.0/24")
    SECURITY_GROUP.put(site.cloud(), db.id, description="ours")

    row = site.restored(checkpoint)

    used = "mapped: the living one is used as it is, "
    assert site.notes_of(row, db) == {
        "identity": "same: it is still there and is used as it is",
        "description": f"{used}with ours",
        "rules": f"{used}with ingress IPv4 tcp 1-65535 from 192.0.2.0/24 instead of egress IPv4 (all of IPv4 out)",
    }
    assert site.notes_of(row, default(site)) == {"rules": f"{used}without ingress IPv4 udp 53-53"}


def test_a_failed_restore_takes_its_rules_out_of_living_groups(site: Topology) -> None:
    web, db = web_and_db(site)
    checkpoint = site.saved_once(site.everything)
    remove_groups(site, web)
    before, rules = site.ids(), site.rules(db.id)
    site.fault(service="network", method="POST", path="/security-group-rules", body="icmp", times=None, status=400)

    row = site.restore(checkpoint)

    assert row["status"] == "fail"
    assert site.ids() == before
    assert site.rules(db.id) == rules


def test_in_another_project_its_own_group_default_is_used(site: Topology) -> None:
    web, db = web_and_db(site)
    checkpoint = site.saved_once(site.everything)
    other = site.ids("sandbox-b")

    row = site.restore(checkpoint, cloud="sandbox-b")

    assert row["status"] == "success", row["error_info"]
    new_default = site.became(row, default(site))
    assert {new_default} == other["security_group"]
    assert site.notes_of(row, default(site))["rules"].startswith("mapped: the project's own group default")
    assert other["security_group_rule"] <= site.ids("sandbox-b")["security_group_rule"]
    made = SECURITY_GROUP.get(site.cloud("sandbox-b"), site.became(row, web))
    assert made is not None
    assert {rule["remote_group_id"] for rule in made["security_group_rules"]} == {
        None, new_default, site.became(row, web), site.became(row, db),
    }  # fmt: skip
    for ref in (web, db):
        SECURITY_GROUP.delete(site.cloud("sandbox-b"), site.became(row, ref))
    assert site.ids("sandbox-b") == other


def test_a_failed_restore_leaves_the_default_group_of_another_project_alone(site: Topology) -> None:
    web_and_db(site)
    checkpoint = site.saved_once(site.everything)
    other = site.ids("sandbox-b")
    site.fault(service="network", method="POST", path="/security-group-rules", body="icmp", times=None, status=400)

    row = site.restore(checkpoint, cloud="sandbox-b")

    assert row["status"] == "fail"
    assert site.ids("sandbox-b") == other


def test_the_group_default_is_used_even_where_it_is_named(site: Topology) -> None:
    rules = site.rules(default(site).id)
    checkpoint = site.saved_once(default(site))

    row = site.restored(checkpoint, surroundings="new")

    assert site.made(row) == []
    assert site.rules(default(site).id) == rules
