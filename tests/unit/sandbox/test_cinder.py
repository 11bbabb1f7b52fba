"""Cinder of the sandbox: volumes, snapshots and types do and refuse what real ones did and refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from cinder_calls import Cinder
from openstack.connection import Connection

from karbor.sandbox import Sandbox
from karbor.sandbox.volume.attach import reserve_volume

GIB = 1 << 30


def test_a_blank_volume_and_what_is_shown_of_it(cinder: Cinder, cloud: Connection) -> None:
    volume = cinder.call("POST", "/volumes", {"volume": {"size": 1, "name": "n"}}, 202)["volume"]
    assert volume["status"] == "creating"
    shown = cinder.show("volume", volume["id"])
    assert (shown["status"], shown["size"], shown["bootable"]) == ("available", 1, "false")
    assert (shown["volume_type"], shown["availability_zone"]) == ("standard", "nova")
    assert shown["user_id"] == cloud.current_user_id
    assert "volume_type_id" in shown
    assert "volume_type_id" not in cinder.call("GET", f"/volumes/{volume['id']}", version="3.62")["volume"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"size": 0},
        {"size": "x"},
        {"size": 1, "name": "n" * 256},
        {"size": 1, "metadata": {"k": "v" * 256}},
        {"size": 1, "metadata": {"k": 1}},
        {"size": 1, "id": "00000000-0000-4000-8000-000000000000"},
        {"size": 1, "bootable": True},
        {"size": 1, "multiattach": True},
        {"size": 1, "availability_zone": "mars"},
        {"size": 1, "snapshot_id": "a", "backup_id": "b"},
        {"size": 1, "imageRef": "00000000-0000-4000-8000-000000000000"},
    ],
)
def test_creates_that_are_400(cinder: Cinder, wrong: dict[str, Any]) -> None:
    assert cinder.volume(expect=400, **wrong)["badRequest"]["code"] == 400
    assert cinder.call("GET", "/volumes")["volumes"] == []


def test_creates_that_are_404(cinder: Cinder) -> None:
    for unknown in ({"backup_id": "x"}, {"snapshot_id": "x"}, {"source_volid": "x"}, {"volume_type": "x"}):
        assert "itemNotFound" in cinder.volume(expect=404, size=1, **unknown)


def test_bytes_travel_from_image_to_volume_snapshot_clone_backup_and_back(
    cinder: Cinder, write: Callable[[bytes], str], bytes_of: Callable[[str, int], bytes], sandbox: Sandbox
) -> None:
    data = os.urandom(100_000)
    volume = write(data)
    shown = cinder.show("volume", volume)
    assert (shown["bootable"], shown["volume_image_metadata"]["disk_format"]) == ("true", "raw")
    snapshot, backup = cinder.snapshot(volume), cinder.backup(volume)
    larger = cinder.volume(source_volid=volume, size=2)
    for copy in (cinder.volume(snapshot_id=snapshot), cinder.volume(backup_id=backup), larger):
        shown = cinder.show("volume", copy)
        assert (shown["status"], shown["bootable"]) == ("available", "true")
        assert bytes_of(copy, len(data) + 1) == data + b"\0"
    path = sandbox.state.bytes_of(larger)
    assert path.stat().st_size == 2 * GIB
    assert path.stat().st_blocks * 512 < GIB / 100


def test_an_image_passes_through_downloading(
    cinder: Cinder, cloud: Connection, slowly: None, step: Callable[[], object]
) -> None:
    volume = cinder.volume(size=1, imageRef=next(cloud.image.images(name="cirros")).id)
    for status in ("creating", "downloading", "available"):
        assert cinder.status("volume", volume) == status
        step()


def test_a_broken_image_ends_in_error(cinder: Cinder, cloud: Connection) -> None:
    image = cloud.image.post("/images", json={"disk_format": "qcow2", "container_format": "bare"}).json()["id"]
    cloud.image.put(f"/images/{image}/file", data=b"no qcow", headers={"Content-Type": "application/octet-stream"})
    assert cinder.status("volume", cinder.volume(size=1, imageRef=image)) == "error"


def test_filters(cinder: Cinder) -> None:
    marked = cinder.volume(size=1, name="abc", metadata={"op": "T", "more": "1"})
    cinder.volume(size=1, name="abcd")

    def listed(query: str) -> list[str]:
        return [volume["id"] for volume in cinder.call("GET", f"/volumes/detail?{query}")["volumes"]]

    for query in ("metadata={'op':'T'}", 'metadata={"op": "T"}', "name=abc"):
        assert listed(query) == [marked]
    assert len(listed("created_at=gt:2020-01-01T00:00:00")) == 2
    assert listed("created_at=lt:2020-01-01T00:00:00") == []
    assert listed("metadata=op") == []  # what openstacksdk sends for a dict
    assert len(listed("all_tenants=1")) == 2
    assert len(listed("status=available&bootable=false&availability_zone=nova&size=1")) == 2
    for query in ("metadata[op]=T", "name~=abc", "description=x", "id=1", "colour=red"):
        cinder.call("GET", f"/volumes?{query}", expect=400)


def test_pages(cinder: Cinder, cloud: Connection) -> None:
    made = [cinder.volume(size=1, name=f"v{number}") for number in range(5)]
    first = cinder.call("GET", "/volumes?limit=2&with_count=True")
    assert [volume["id"] for volume in first["volumes"]] == made[:2:-1]
    assert first["count"] == 5
    following = cloud.session.get(first["volumes_links"][0]["href"]).json()
    assert [volume["id"] for volume in following["volumes"]] == made[2:0:-1]
    assert [volume.id for volume in cloud.block_storage.volumes(limit=2)] == made[::-1]
    by_name = cinder.call("GET", "/volumes?sort=name:asc")["volumes"]
    assert [volume["name"] for volume in by_name] == [f"v{number}" for number in range(5)]
    cinder.call("GET", "/volumes?marker=gone", expect=404)
    cinder.call("GET", "/volumes?limit=many", expect=400)


def test_projects_do_not_see_one_another(cinder: Cinder, other: Connection, admin: Connection) -> None:
    volume = cinder.volume(size=1)
    stranger, operator = Cinder(other), Cinder(admin)
    stranger.gone("volume", volume)
    assert stranger.call("GET", "/volumes?all_tenants=1")["volumes"] == []
    assert [one["id"] for one in operator.call("GET", "/volumes?all_tenants=1")["volumes"]] == [volume]


def test_name_metadata_and_flags_afterwards(cinder: Cinder) -> None:
    volume = cinder.volume(size=1, metadata={"a": "1"})
    cinder.call("PUT", f"/volumes/{volume}", {"volume": {"name": "new", "description": "d"}})
    path = f"/volumes/{volume}/metadata"
    assert cinder.call("POST", path, {"metadata": {"b": "2"}})["metadata"] == {"a": "1", "b": "2"}
    assert cinder.call("PUT", path, {"metadata": {"c": "3"}})["metadata"] == {"c": "3"}
    cinder.act(volume, "os-set_bootable", {"bootable": True}, 200)
    cinder.act(volume, "os-set_image_metadata", {"metadata": {"image_id": "i", "hw_x": "y"}}, 200)
    cinder.act(volume, "os-unset_image_metadata", {"key": "image_id"}, 200)
    cinder.act(volume, "os-update_readonly_flag", {"readonly": True})
    shown = cinder.show("volume", volume)
    assert (shown["name"], shown["description"], shown["bootable"]) == ("new", "d", "true")
    assert shown["metadata"] == {"c": "3", "readonly": "True"}
    assert shown["volume_image_metadata"] == {"hw_x": "y"}
    cinder.call("DELETE", f"/volumes/{volume}/metadata/c")
    cinder.call("DELETE", f"/volumes/{volume}/metadata/c", expect=404)


def test_extend_and_retype(cinder: Cinder, used: Callable[..., str], slowly: None, hurry: Callable[[], None]) -> None:
    volume = cinder.volume(size=1)
    hurry()
    cinder.act(volume, "os-extend", {"new_size": 1}, 400)
    cinder.act(volume, "os-extend", {"new_size": 2})
    cinder.act(volume, "os-retype", {"new_type": "nothing"}, 404)
    assert cinder.show("volume", volume)["size"] == 2
    cinder.act(volume, "os-retype", {"new_type": "fast", "migration_policy": "never"})
    shown = cinder.show("volume", volume)
    assert (shown["status"], shown["volume_type"]) == ("available", "fast")
    attached = used()
    cinder.act(attached, "os-extend", {"new_size": 2}, 400, version="3.41")
    cinder.act(attached, "os-extend", {"new_size": 2}, 202, version="3.42")
    assert cinder.status("volume", attached) == "in-use"


def test_actions_that_are_not_a_members(cinder: Cinder, admin: Connection) -> None:
    volume = cinder.volume(size=1)
    for name, arguments in (("os-reset_status", {"status": "error"}), ("os-force_delete", {})):
        assert "forbidden" in cinder.act(volume, name, arguments, 403)
    cinder.act(volume, "os-dance", {}, 400)
    Cinder(admin).act(volume, "os-reset_status", {"status": "error"})
    assert cinder.status("volume", volume) == "error"


def test_deleting_a_volume(cinder: Cinder, used: Callable[..., str]) -> None:
    volume, attached = cinder.volume(size=1), used()
    snapshot = cinder.snapshot(volume)
    refused = cinder.call("DELETE", f"/volumes/{attached}", expect=400)
    assert "must not be migrating, attached" in refused["badRequest"]["message"]
    cinder.call("DELETE", f"/volumes/{volume}", expect=400)
    cinder.call("DELETE", f"/volumes/{volume}?cascade=true", expect=202)
    cinder.gone("volume", volume)
    cinder.gone("snapshot", snapshot)
    cinder.call("DELETE", f"/volumes/{volume}", expect=404)


def test_snapshots_of_volumes_in_use_need_force_below_3_66(cinder: Cinder, used: Callable[..., str]) -> None:
    attached = used()
    cinder.snapshot(attached, 400, version="3.65")
    cinder.snapshot(attached, 202, version="3.65", force=True)
    cinder.snapshot(attached, 202)
    cinder.snapshot(attached, 400, force=False)


def test_the_metadata_filter_of_snapshots_came_with_3_22(cinder: Cinder) -> None:
    volume = cinder.volume(size=1)
    marked, _ = cinder.snapshot(volume, metadata={"op": "T"}), cinder.snapshot(volume)
    path = "/snapshots/detail?metadata={'op':'T'}"
    assert [one["id"] for one in cinder.call("GET", path, version="3.22")["snapshots"]] == [marked]
    assert len(cinder.call("GET", path, version="3.21")["snapshots"]) == 2


def test_a_snapshot_with_a_clone_comes_back(cinder: Cinder, slowly: None, hurry: Callable[[], None]) -> None:
    volume = cinder.volume(size=1)
    hurry()
    snapshot = cinder.snapshot(volume)
    clone = cinder.volume(snapshot_id=snapshot)
    cinder.call("DELETE", f"/snapshots/{snapshot}", expect=202)
    assert cinder.status("snapshot", snapshot) == "available"
    messages = cinder.call("GET", f"/messages?resource_uuid={snapshot}")["messages"]
    assert "Snapshot is busy" in messages[0]["user_message"]
    cinder.call("DELETE", f"/volumes/{clone}", expect=202)
    cinder.call("DELETE", f"/snapshots/{snapshot}", expect=202)
    cinder.gone("snapshot", snapshot)


def test_reservations(cinder: Cinder, sandbox: Sandbox) -> None:
    volume = cinder.volume(size=1)
    cinder.act(volume, "os-reserve", {})
    assert cinder.status("volume", volume) == "attaching"
    cinder.act(volume, "os-unreserve", {})
    assert cinder.status("volume", volume) == "available"
    with sandbox.state.lock:
        reserve_volume(sandbox.state, volume)
    cinder.act(volume, "os-unreserve", {})
    assert cinder.status("volume", volume) == "reserved"


def test_an_image_of_a_volume(cinder: Cinder, cloud: Connection, write: Callable[[bytes], str]) -> None:
    volume = write(b"boot" * 1000)
    asked = {"image_name": "copy", "disk_format": "raw", "container_format": "bare", "visibility": "private"}
    made = cinder.act(volume, "os-volume_upload_image", asked)["os-volume_upload_image"]
    assert made["status"] == "uploading"
    cloud.block_storage.wait_for_status(cloud.block_storage.get_volume(volume), "available", interval=0.05, wait=60)
    image = cloud.image.get_image(made["image_id"])
    assert (image.status, image.size, image.visibility) == ("active", GIB, "private")
    head = cloud.image.get(f"/images/{image.id}/file", headers={"Range": "bytes=0-4000"}).content
    assert head == b"boot" * 1000 + b"\0"


def test_types(cinder: Cinder, admin: Connection) -> None:
    operator = Cinder(admin)
    multi = operator.call(
        "POST",
        "/types",
        {
            "volume_type": {
                "name": "multi",
                "extra_specs": {"multiattach": "<is> True", "volume_backend_name": "secret"},
            }
        },
    )["volume_type"]["id"]
    assert cinder.call("GET", f"/types/{multi}")["volume_type"]["extra_specs"] == {"multiattach": "<is> True"}
    assert operator.call("GET", f"/types/{multi}")["volume_type"]["extra_specs"]["volume_backend_name"] == "secret"
    cinder.call("GET", "/types/multi", expect=404)
    cinder.call("GET", f"/types/{multi}/encryption", expect=403)
    cinder.call("POST", "/types", {"volume_type": {"name": "mine"}}, 403)
    assert cinder.call("GET", "/types/default")["volume_type"]["name"] == "standard"
    volume = cinder.volume(size=1, volume_type="multi")
    assert cinder.show("volume", volume)["multiattach"] is True
    restored = cinder.volume(backup_id=cinder.backup(volume))
    assert cinder.show("volume", restored)["volume_type"] == "standard"


def test_an_encrypted_type(cinder: Cinder, admin: Connection) -> None:
    operator = Cinder(admin)
    type = operator.call("POST", "/types", {"volume_type": {"name": "secret"}})["volume_type"]["id"]
    encryption = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}
    cinder.call("POST", f"/types/{type}/encryption", {"encryption": encryption}, 403)
    assert (
        operator.call("POST", f"/types/{type}/encryption", {"encryption": encryption})["encryption"]["key_size"] == 256
    )
    assert operator.call("GET", f"/types/{type}/encryption")["provider"] == "luks"
    volume, plain, secret = (cinder.volume(size=1, volume_type=name) for name in ("secret", "standard", "secret"))
    assert [cinder.show("volume", id)["encrypted"] for id in (volume, plain)] == [True, False]
    backup = cinder.backup(volume)
    for target, state in ((plain, "error_restoring"), (secret, "available")):
        cinder.call("POST", f"/backups/{backup}/restore", {"restore": {"volume_id": target}}, 202)
        assert (cinder.status("volume", target), cinder.status("backup", backup)) == (state, "available")


def test_limits_quotas_zones_and_services(cinder: Cinder, cloud: Connection, other: Connection) -> None:
    cinder.snapshot(cinder.volume(size=2))
    absolute = cinder.call("GET", "/limits")["limits"]["absolute"]
    assert (absolute["totalVolumesUsed"], absolute["totalGigabytesUsed"]) == (1, 4)
    quotas = cinder.call("GET", f"/os-quota-sets/{cloud.current_project_id}?usage=True")["quota_set"]
    assert quotas["gigabytes"]["in_use"] == 4
    cinder.call("GET", f"/os-quota-sets/{other.current_project_id}", expect=403)
    cinder.call("GET", "/os-services", expect=403)
    assert [zone.name for zone in cloud.block_storage.availability_zones()] == ["nova"]
