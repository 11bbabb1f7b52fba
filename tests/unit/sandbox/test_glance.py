"""Glance of the sandbox: what it takes, refuses, keeps and gives back."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
ID = "11111111-2222-4333-8444-555555555555"


class Glance:
    """Raw calls of one project that fail a test which expects another status."""

    def __init__(self, cloud: Connection) -> None:
        self.cloud = cloud

    def call(self, method: str, path: str, expect: int = 200, **how: Any) -> Any:
        answered = self.cloud.image.request(path, method, **how)
        assert answered.status_code == expect, f"{method} {path}: {answered.status_code} {answered.text[:300]}"
        kind = answered.headers.get("Content-Type", "")
        return answered.json() if kind.startswith("application/json") else answered

    def create(self, expect: int = 201, /, **facts: Any) -> Any:
        return self.call("POST", "/images", expect, json={"disk_format": "raw", "container_format": "bare", **facts})

    def upload(self, id: str, data: Any, expect: int = 204) -> Any:
        return self.call("PUT", f"/images/{id}/file", expect, data=data, headers=OCTETS)

    def patch(self, id: str, *operations: dict[str, Any], expect: int = 200) -> Any:
        return self.call("PATCH", f"/images/{id}", expect, json=list(operations), headers=PATCH)

    def show(self, id: str) -> Any:
        return self.call("GET", f"/images/{id}")


@pytest.fixture
def glance(cloud: Connection) -> Glance:
    return Glance(cloud)


@pytest.fixture
def stranger(other: Connection) -> Glance:
    return Glance(other)


def test_a_new_image(glance: Glance, cloud: Connection) -> None:
    image = glance.create(name="n", op="T", tags=["a", "a", "b"], min_ram=64)
    assert (image["status"], image["visibility"], image["owner"]) == ("queued", "shared", cloud.current_project_id)
    assert (image["op"], image["tags"], image["size"], image["checksum"]) == ("T", ["a", "b"], None, None)
    assert glance.show(image["id"]) == image


def test_ids_are_the_clients_and_burnt(glance: Glance, stranger: Glance) -> None:
    glance.create(id=ID)
    refused = stranger.create(409, id=ID)
    assert refused.headers["Content-Type"].startswith("text/html")
    assert "<h1>409 Conflict</h1>" in refused.text
    glance.call("DELETE", f"/images/{ID}", 204)
    glance.call("GET", f"/images/{ID}", 404)
    glance.create(409, id=ID)
    glance.create(400, id="mine")


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"checksum": "x"}, 403),
        ({"size": 1}, 403),
        ({"stores": "x"}, 403),
        ({"created_at": "x"}, 403),
        ({"self": "x"}, 403),
        ({"locations": []}, 403),
        ({"os_glance_failed_import": ""}, 403),
        ({"owner": "0" * 32}, 403),
        ({"visibility": "public"}, 403),
        ({"number": 1}, 400),
        ({"yes": True}, 400),
        ({"nothing": None}, 400),
        ({"kernel_id": "vmlinuz"}, 400),
        ({"disk_format": "floppy"}, 400),
        ({"k" * 256: "v"}, 400),
        ({"min_disk": "1"}, 400),
        ({"protected": "yes"}, 400),
        ({"long": "v" * 70_000}, 500),
        ({"tags": [str(n) for n in range(129)]}, 413),
        ({f"p{n}": "v" for n in range(129)}, 413),
    ],
)
def test_creates_that_are_refused(glance: Glance, facts: dict[str, Any], status: int) -> None:
    glance.create(status, **facts)
    assert [image["name"] for image in glance.call("GET", "/images")["images"]] == ["cirros"]


def test_creates_that_are_taken_as_they_are(glance: Glance) -> None:
    kept = {
        "os_hidden": True,
        "protected": True,
        "visibility": "community",
        "kernel_id": None,
        "image_type": "snapshot",
        "base_image_ref": ID,
        "owner_specified.x": "y",
        "os_distro": "z",
        "hw_disk_bus": "virtio",
        "bdm_v2": "True",
    }
    image = glance.create(**kept, os_hash_algo="md5", os_hash_value="x")
    assert kept.items() <= glance.show(image["id"]).items()
    assert (image["os_hash_algo"], image["os_hash_value"]) == (None, None)


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


@pytest.mark.parametrize("chunked", [True, False])
def test_upload_and_download(glance: Glance, chunked: bool) -> None:
    data = os.urandom(300_000) + bytes(2_000_000) + os.urandom(5)
    image = glance.create()["id"]
    assert glance.call("GET", f"/images/{image}/file", 204).content == b""
    glance.upload(image, _pieces(data) if chunked else data)
    shown = glance.show(image)
    assert (shown["status"], shown["size"], shown["checksum"]) == ("active", len(data), hashlib.md5(data).hexdigest())
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    whole = glance.call("GET", f"/images/{image}/file")
    assert whole.content == data
    assert (whole.headers["Content-Md5"], whole.headers["Content-Length"]) == (shown["checksum"], str(len(data)))
    glance.upload(image, data, 409)


def test_ranges(glance: Glance) -> None:
    data = os.urandom(100_000)
    image = glance.create()["id"]
    glance.upload(image, data)

    def part(asked: str, expect: int = 206) -> Any:
        return glance.call("GET", f"/images/{image}/file", expect, headers={"Range": f"bytes={asked}"})

    assert part("10-19").content == data[10:20]
    assert part("10-19").headers["Content-Range"] == "bytes 10-19/100000"
    assert part("99990-").content == data[99990:]
    assert part("-5").content == data[-5:]
    assert part("0-999999").content == data
    part("100000-", 416)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_cut_upload_goes_back_to_queued(glance: Glance, cloud: Connection, chunked: bool) -> None:
    image = glance.create()["id"]
    target = urlsplit(f"{cloud.image.get_endpoint()}/images/{image}/file")
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100000"
    piece = b"3e8\r\n" + b"x" * 1000 + b"\r\n" if chunked else b"x" * 1000
    with socket.create_connection((target.hostname, target.port)) as connection:
        head = (
            f"PUT {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nX-Auth-Token: {cloud.auth_token}\r\n"
            f"Content-Type: application/octet-stream\r\n{length}\r\n\r\n"
        )
        connection.sendall(head.encode() + piece)
        cloud.image.wait_for_status(cloud.image.get_image(image), "saving", interval=0.02, wait=10)
        glance.upload(image, b"y", 409)
    cloud.image.wait_for_status(cloud.image.get_image(image), "queued", interval=0.02, wait=10)
    glance.upload(image, b"whole")
    assert glance.call("GET", f"/images/{image}/file").content == b"whole"


def test_a_refused_upload_is_read_to_its_end(glance: Glance) -> None:
    image = glance.create()["id"]
    glance.upload(image, b"first")
    glance.upload(image, (bytes(1 << 20) for _ in range(8)), 409)
    assert glance.call("GET", f"/images/{image}/file").content == b"first"


def test_uploads_that_are_refused(glance: Glance, stranger: Glance) -> None:
    image = glance.create(visibility="community")["id"]
    stranger.upload(image, b"x", 403)
    glance.call("PUT", f"/images/{image}/file", 415, data=b"x", headers={"Content-Type": "text/plain"})
    glance.upload(glance.create(disk_format=None)["id"], b"x", 400)
    glance.upload(ID, b"x", 404)
    assert glance.show(image)["status"] == "queued"


def test_stage_and_import(glance: Glance) -> None:
    image = glance.create()["id"]
    direct = {"method": {"name": "glance-direct"}}
    glance.call("POST", f"/images/{image}/import", 409, json=direct)
    glance.call("PUT", f"/images/{image}/stage", 204, data=b"staged", headers=OCTETS)
    assert glance.show(image)["status"] == "uploading"
    glance.call("PUT", f"/images/{image}/stage", 409, data=b"again", headers=OCTETS)
    glance.call("POST", f"/images/{image}/import", 400, json={"method": {"name": "web-download"}})
    glance.call("POST", f"/images/{image}/import", 202, json=direct)
    assert glance.show(image)["status"] == "active"
    assert glance.show(image)["os_glance_failed_import"] == ""
    assert glance.call("GET", f"/images/{image}/file").content == b"staged"
    glance.call("POST", f"/images/{image}/import", 409, json=direct)
    assert glance.call("GET", f"/images/{image}/tasks")["tasks"] == []


def test_patches(glance: Glance) -> None:
    image = glance.create(name="old", colour="red")["id"]
    changed = glance.patch(
        image,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/size_of_shoe", "value": "42"},
        {"op": "remove", "path": "/colour"},
        {"op": "replace", "path": "/disk_format", "value": "iso"},
        {"op": "replace", "path": "/tags", "value": ["t"]},
        {"op": "replace", "path": "/os_hidden", "value": True},
    )
    expected = {"name": "new", "size_of_shoe": "42", "disk_format": "iso", "tags": ["t"], "os_hidden": True}
    assert expected.items() <= changed.items()
    assert "colour" not in changed
    for operation, status in (
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/id", "value": ID}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/unknown", "value": "x"}, 409),
        ({"op": "remove", "path": "/unknown"}, 409),
        ({"op": "move", "path": "/name"}, 400),
        ({"op": "add", "path": "/n", "value": 1}, 400),
    ):
        glance.patch(image, {"op": "replace", "path": "/name", "value": "never"}, operation, expect=status)
    glance.call("PATCH", f"/images/{image}", 415, json=[])
    glance.upload(image, b"x")
    glance.patch(image, {"op": "replace", "path": "/disk_format", "value": "raw"}, expect=403)
    assert glance.show(image)["name"] == "new"


def test_protected_images(glance: Glance) -> None:
    image = glance.create(protected=True)["id"]
    glance.call("DELETE", f"/images/{image}", 403)
    glance.patch(image, {"op": "replace", "path": "/protected", "value": False})
    glance.call("DELETE", f"/images/{image}", 204)


def test_tags(glance: Glance) -> None:
    image = glance.create()["id"]
    glance.call("PUT", f"/images/{image}/tags/blue", 204)
    glance.call("PUT", f"/images/{image}/tags/blue", 204)
    assert [one["id"] for one in glance.call("GET", "/images?tag=blue")["images"]] == [image]
    assert glance.call("GET", "/images?tag=blue&tag=red")["images"] == []
    glance.call("DELETE", f"/images/{image}/tags/blue", 204)
    glance.call("DELETE", f"/images/{image}/tags/blue", 404)


def test_who_sees_what(glance: Glance, stranger: Glance, other: Connection, admin: Connection) -> None:
    public = next(admin.image.images(name="cirros"))
    glance.call("DELETE", f"/images/{public.id}", 403)
    private = glance.create(visibility="private")["id"]
    community = glance.create(visibility="community")["id"]
    shared = glance.create()["id"]
    for hidden in (private, shared):
        stranger.call("GET", f"/images/{hidden}", 404)
    assert stranger.show(community)["id"] == community

    def listed(query: str = "") -> list[str]:
        return [image["id"] for image in stranger.call("GET", f"/images{query}")["images"]]

    assert listed() == [public.id]
    assert listed("?visibility=community") == [community]
    member = f"/images/{shared}/members"
    assert glance.call("POST", member, json={"member": other.current_project_id})["status"] == "pending"
    glance.call("POST", member, 409, json={"member": other.current_project_id})
    glance.call("POST", f"/images/{private}/members", 403, json={"member": other.current_project_id})
    assert stranger.show(shared)["id"] == shared
    assert listed() == [public.id]
    glance.call("PUT", f"{member}/{other.current_project_id}", 403, json={"status": "accepted"})
    stranger.call("PUT", f"{member}/{other.current_project_id}", json={"status": "accepted"})
    assert set(listed()) == {public.id, shared}
    glance.call("DELETE", f"{member}/{other.current_project_id}", 204)
    stranger.call("GET", f"/images/{shared}", 404)


def test_lists(glance: Glance, cloud: Connection) -> None:
    made = [glance.create(name=f"i{number}", op="T")["id"] for number in range(30)]
    first = glance.call("GET", "/images?op=T")
    assert len(first["images"]) == 25
    assert first["next"].startswith("/v2/images?op=T&marker=")
    assert [image.id for image in cloud.image.images(name="i7")] == [made[7]]
    assert {image.id for image in cloud.image.images()} >= set(made)
    chosen = glance.call("GET", f"/images?id=in:{made[0]},{made[1]}")["images"]
    assert {image["id"] for image in chosen} == set(made[:2])
    assert len(glance.call("GET", "/images?updated_at=gt:2020-01-01T00:00:00Z&limit=100")["images"]) == 31
    assert [one["name"] for one in glance.call("GET", "/images?sort=name:asc&op=T&limit=2")["images"]] == ["i0", "i1"]
    for nonsense in (f"marker={ID}", "limit=x", "size_min=x", "sort_key=colour"):
        glance.call("GET", f"/images?{nonsense}", 400)
    assert glance.call("GET", "/images?colour=red")["images"] == []


def test_hidden_images_are_listed_only_when_asked_for(glance: Glance) -> None:
    image = glance.create(os_hidden=True)["id"]
    assert image not in [one["id"] for one in glance.call("GET", "/images")["images"]]
    assert [one["id"] for one in glance.call("GET", "/images?os_hidden=true")["images"]] == [image]


def test_openstacksdk_makes_and_reads_an_image(cloud: Connection) -> None:
    data = os.urandom(10_000)
    image = cloud.image.create_image("sdk", data=data, disk_format="raw", container_format="bare", visibility="private")
    assert cloud.image.download_image(image.id).content == data
    cloud.image.delete_image(image.id)
    assert cloud.image.find_image(image.id) is None
