"""The demo: what it builds, what it notices, and the whole of it as a person runs it."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.images import IMAGE
from karbor.cloud.networks import PORT, SECURITY_GROUP, SECURITY_GROUP_RULE
from karbor.cloud.servers import SERVER
from karbor.demo import disks
from karbor.demo.application import OWN_DISK, Application, build, ground
from karbor.demo.compare import DIFFERENT, MAPPED, NEW, SAME, Row, compare, compare_bytes, is_equal, mapping_of
from karbor.demo.describe import Description, describe
from karbor.demo.destroy import destroy, holdings
from karbor.engine.report import restore_document
from karbor.model.errors import NotFound, Refused
from karbor.model.resource import Ref
from karbor.testing.rig import Rig

SIZE = 300_000
GIB = 1 << 30


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def app(rig: Rig) -> Application:
    return build(rig.cloud(), ground(rig.cloud()), size=SIZE)


def protected(rig: Rig, app: Application) -> str:
    row = rig.protect(*(Ref(SERVER.type, id) for id in app.of(SERVER).values()))
    assert row["status"] == "available", row["error_info"]
    return str(row["checkpoint_id"])


def restored(rig: Rig, checkpoint: str) -> dict[str, str]:
    row = rig.restore(checkpoint)
    assert row["status"] == "success", row["error_info"]
    return mapping_of(restore_document(rig.database, row))


def outcomes(rows: list[Row], role: str) -> dict[str, str]:
    return {row.attribute: row.outcome for row in rows if row.role == role}


def different(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.role, row.attribute) for row in rows if row.outcome == DIFFERENT]


def test_what_comes_back_is_equal_to_what_was_lost(rig: Rig, app: Application) -> None:
    cloud = rig.cloud()
    before = describe(cloud, app)
    own_disk = disks.own_disk_sha256(cloud, app["web"])
    checkpoint = protected(rig, app)
    destroy(cloud, app)
    assert holdings(cloud) == {}

    mapping = restored(rig, checkpoint)
    again = app.became(mapping)
    rows = list(compare(before, describe(cloud, again), mapping))

    assert different(rows) == []
    assert is_equal(rows)
    assert holdings(cloud).keys() == {thing.id for thing in again.things.values()}
    assert set(again.things) == {*app.things, f"{OWN_DISK}web"}
    web = outcomes(rows, "web")
    assert (web["name"], web["flavor.id"], web["image.id"], web["id"]) == (SAME, SAME, MAPPED, NEW)
    assert outcomes(rows, "web-front")["mac_address"] == SAME
    assert outcomes(rows, "group db")["rules.ingress IPv4 tcp 5432-5432"] == MAPPED
    assert disks.image_sha256(cloud, again[f"{OWN_DISK}web"]) == own_disk == disks.own_disk_sha256(cloud, again["web"])


def test_every_change_is_noticed(rig: Rig, app: Application) -> None:
    cloud = rig.cloud()
    before = describe(cloud, app)
    assert list(compare(before, describe(cloud, app), {})) != []
    assert is_equal(compare(before, describe(cloud, app), {}))

    VOLUME.update(cloud, id=app["db-data"], metadata={"tier": "db"})
    VOLUME.set_bootable(cloud, id=app["db-log"], bootable=True)
    IMAGE.update(cloud, id=app["base"], changes={"os_distro": "other"})
    PORT.update(cloud, id=app["web-back"], security_groups=[app["group db"]])
    SERVER.set_delete_on_termination(cloud, id=app["db"], volume_id=app["db-log"], value=False)
    lost = next(
        rule
        for rule in SECURITY_GROUP.seen(cloud, app["group web"])["security_group_rules"]
        if rule["port_range_min"] == 443
    )
    SECURITY_GROUP_RULE.delete(cloud, lost["id"])

    assert different(list(compare(before, describe(cloud, app), {}))) == [
        ("group web", "rules.ingress IPv4 tcp 443-443"),
        ("web-back", "security_groups"),
        ("base", "os_distro"),
        ("db-data", "metadata.fs"),
        ("db-log", "bootable"),
        ("web", "security_groups"),
        ("db", "disks./dev/vdc.delete_on_termination"),
    ]


def test_bytes_of_a_volume_are_read_while_a_server_uses_it_and_nothing_is_left(rig: Rig, app: Application) -> None:
    cloud = rig.cloud()
    held = holdings(cloud)
    image = b"".join(cloud.download(app["base"]))
    assert len(image) == SIZE
    whole = hashlib.sha256(image + bytes(GIB - SIZE))
    assert disks.volume_sha256(cloud, app["db-root"]) == whole.hexdigest()
    assert holdings(cloud) == held


def test_a_half_built_application_can_be_destroyed(rig: Rig) -> None:
    rig.fault(service="compute", method="POST", path="/servers", status=403, message="not today")
    app = Application()
    with pytest.raises(Refused, match="not today"):
        build(rig.cloud(), ground(rig.cloud()), size=SIZE, app=app)
    assert app.of(VOLUME)
    destroy(rig.cloud(), app)
    assert holdings(rig.cloud()) == {}


def test_a_cloud_without_what_it_takes_is_said(rig: Rig) -> None:
    for wanted, said in (
        ({"flavor": "huge"}, "flavor with a disk huge"),
        ({"network": "moon"}, "external network moon"),
        ({"zone": "mars"}, "availability zone mars"),
    ):
        with pytest.raises(NotFound, match=said):
            ground(rig.cloud(), **wanted)


def thing(id: str, **attributes: Any) -> Description:
    return Description("port", id, {"id": id, **attributes})


OLD, NEW_ID, OTHER = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "abc")


@pytest.mark.parametrize(
    ("attribute", "before", "after", "outcome"),
    [
        ("network_id", OLD, NEW_ID, MAPPED),
        ("network_id", OLD, OLD, DIFFERENT),
        ("network_id", OLD, OTHER, DIFFERENT),
        ("attachments", [f"{OLD} as /dev/vda"], [f"{NEW_ID} as /dev/vda"], MAPPED),
        ("tags", ["a", "b"], ["b", "a"], SAME),
        ("tags", ["a", "b"], ["a"], DIFFERENT),
        ("dns_nameservers", ["a", "b"], ["b", "a"], DIFFERENT),
        ("flavor.id", "1", "2", DIFFERENT),
        ("created_at", "yesterday", "today", NEW),
        ("metadata.created_at", "yesterday", "today", DIFFERENT),
        ("addresses.front.floating", ["172.24.4.10"], ["172.24.4.12"], NEW),
        ("addresses.front.fixed", ["10.0.0.1"], ["10.0.0.2"], DIFFERENT),
        ("volume_image_metadata.image_id", OLD, OLD, SAME),
        ("gateway_ip", None, "10.0.0.1", DIFFERENT),
    ],
)
def test_outcome_of_an_attribute(attribute: str, before: object, after: object, outcome: str) -> None:
    pair = {"it": thing("1", **{attribute: before})}, {"it": thing("1", **{attribute: after})}
    assert outcomes(list(compare(*pair, {OLD: NEW_ID})), "it")[attribute] == outcome


def test_what_is_missing_or_too_much_is_different() -> None:
    before, after = {"lost": thing("1"), "kept": thing(OLD)}, {"kept": thing(NEW_ID), "stray": thing("4")}
    assert different(list(compare(before, after, {OLD: NEW_ID}))) == [("lost", ""), ("stray", "")]
    assert different(list(compare(before, after, {OLD: OTHER}))) == [("lost", ""), ("kept", "id"), ("stray", "")]


def test_bytes_are_different_when_they_changed_or_are_gone() -> None:
    rows = list(
        compare_bytes({"volume a": "1", "volume b": "2", "own disk of c": "3"}, {"volume a": "1", "volume b": "x"})
    )
    assert different(rows) == [("volume b", "sha256"), ("own disk of c", "sha256")]
    rows = list(compare_bytes({"own disk of c": "3"}, {"own disk of c": "3", "image own disk of c": "3"}))
    assert different(rows) == []


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "karbor", "demo", *words], capture_output=True, text=True, timeout=280)


def test_the_demo_as_a_person_runs_it(tmp_path: Path) -> None:
    told = run("--state", str(tmp_path))
    assert told.returncode == 0, told.stdout[-2000:] + told.stderr
    for words in (
        "$ karbor protect server/web server/db",
        "$ karbor restore",
        "0 DIFFERENT",
        "is equal to the lost one",
    ):
        assert words in told.stdout
    assert (tmp_path / "clouds.yaml").exists()
    with Rig(tmp_path) as rig:  # the sandbox that the demo started has ended
        assert len(holdings(rig.cloud())) > 20


def test_a_demo_that_is_stopped_takes_its_sandbox_with_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "karbor", "demo", "--state", str(tmp_path)]
    demo = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with demo:
        assert demo.stdout
        assert any(line.startswith("Reading") for line in demo.stdout)
        demo.terminate()
        assert demo.wait(60) == 128 + signal.SIGTERM
    with Rig(tmp_path) as rig:
        assert holdings(rig.cloud())


def test_a_demo_that_fails_leaves_nothing_in_somebodys_cloud(rig: Rig) -> None:
    rig.fault(service="compute", method="POST", path="/servers", status=403, message="not today")
    told = run("--state", str(rig.folder), "--cloud", "sandbox")
    assert told.returncode == 1
    assert "not today" in told.stderr
    assert holdings(rig.cloud()) == {}


def test_a_cloud_that_nobody_knows_is_one_clear_line(tmp_path: Path) -> None:
    told = run("--state", str(tmp_path), "--cloud", "nowhere")
    assert told.returncode == 1
    assert [line for line in told.stderr.splitlines() if line.startswith("karbor: there is no cloud 'nowhere'")]
    assert "Traceback" not in told.stderr
