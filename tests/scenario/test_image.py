"""Images, through the bank and back: bytes and attributes, what is used instead, and damage that is never passed on."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from stage import Stage

from karbor.cloud.images import IMAGE
from karbor.cloud.inventory import Inventory
from karbor.cloud.servers import FLAVOR, SERVER
from karbor.model.errors import NotFound
from karbor.model.resource import Ref
from karbor.plugins.image import PROTECTABLE
from karbor.plugins.project import PROTECTABLE as PROJECTS

MIB = 1024**2
DATA = Random(8).randbytes(9 * MIB + 17)
PROPERTIES = {"hw_disk_bus": "scsi", "os_distro": "debian", "owner_specified.x": "y"}
BODY = {
    "name": "base", "disk_format": "raw", "container_format": "bare", "min_disk": 3, "min_ram": 64, **PROPERTIES,
}  # fmt: skip
STANDING = {"tags": ["blue", "red"], "protected": True, "os_hidden": True, "visibility": "community"}
COMPARED = (*BODY, *STANDING, "status", "size", "checksum", "os_hash_value")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def image_of(stage: Stage, data: bytes = DATA, standing: dict[str, Any] | None = None) -> Ref:
    id = stage.create(IMAGE, BODY)
    stage.cloud().upload(id, iter([data]))
    IMAGE.update(stage.cloud(), id=id, changes=STANDING if standing is None else standing)
    return Ref(IMAGE.type, id)


def bank_files(stage: Stage, checkpoint_id: str) -> list[Path]:
    return [path for path in stage.folder.rglob("*") if checkpoint_id in path.parts and path.is_file()]


def test_an_image_comes_back_as_it_was(stage: Stage) -> None:
    ref = image_of(stage)
    before = stage.now(IMAGE, ref.id)
    operation = stage.protect(ref)
    assert operation["status"] == "available", operation["error_info"]
    assert stage.verify(operation["checkpoint_id"])["status"] == "success"
    stage.remove(IMAGE, ref.id)
    restore = stage.restore(operation["checkpoint_id"])
    assert restore["status"] == "success", restore["error_info"]
    after = stage.now(IMAGE, stage.became(restore, ref))
    assert {key: sorted(after[key]) if key == "tags" else after[key] for key in COMPARED} == {
        key: before[key] for key in COMPARED
    }
    assert stage.bytes_of(after["id"], len(DATA) + 1) == DATA
    assert stage.delete(operation["checkpoint_id"])["status"] == "deleted"
    assert bank_files(stage, operation["checkpoint_id"]) == []


def test_an_image_that_the_plan_names_is_made_anew_even_if_it_lives(stage: Stage) -> None:
    ref = image_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    restore = stage.restore(checkpoint, parameters={IMAGE.type: {"restore_name": "copy"}})
    assert restore["status"] == "success", restore["error_info"]
    copy = stage.became(restore, ref)
    assert copy != ref.id
    assert stage.now(IMAGE, copy)["name"] == "copy"


def test_a_base_image_that_came_along_is_used_as_long_as_it_has_its_bytes(stage: Stage) -> None:
    ref = image_of(stage, standing={})
    project = Ref("OS::Keystone::Project", stage.cloud().project_id)
    checkpoint = stage.protect(project)["checkpoint_id"]
    restore = stage.restore(checkpoint)
    assert restore["status"] == "success", restore["error_info"]
    assert stage.became(restore, ref) == ref.id
    stage.remove(IMAGE, ref.id)
    restore = stage.restore(checkpoint, surroundings="existing")
    assert restore["status"] == "fail"
    assert "surroundings `existing` none is made" in restore["error_info"]
    restore = stage.restore(checkpoint)
    assert stage.now(IMAGE, stage.became(restore, ref))["size"] == len(DATA)


def test_a_server_brings_the_image_that_the_project_owns(stage: Stage) -> None:
    ref = image_of(stage)
    flavor = next(flavor["id"] for flavor in FLAVOR.list(stage.cloud()) if flavor["disk"] >= 3)
    server = stage.create(SERVER, {"name": "s", "imageRef": ref.id, "flavorRef": flavor, "networks": "none"})
    graph = stage.discover(Ref(SERVER.type, server))
    assert graph.children[Ref(SERVER.type, server)] == (ref,)
    assert (graph.resources[ref].name, graph.resources[ref].extra_info) == ("base", {"server_id": server})


@dataclass
class Booted:
    """An image that needs a kernel, and a server that booted from it."""

    kernel: Ref
    root: Ref
    server: Ref

    def lose(self, stage: Stage, *parts: Ref) -> None:
        for part in parts:
            stage.remove(SERVER if part == self.server else IMAGE, part.id)


def booted_with_a_kernel(stage: Stage) -> Booted:
    kernel, root = image_of(stage, b"vmlinuz", standing={}), image_of(stage, standing={})
    IMAGE.update(stage.cloud(), id=root.id, changes={"name": "root", "kernel_id": kernel.id})
    flavor = next(flavor["id"] for flavor in FLAVOR.list(stage.cloud()) if flavor["disk"] >= 3)
    server = stage.create(SERVER, {"name": "s", "imageRef": root.id, "flavorRef": flavor, "networks": "none"})
    return Booted(kernel, root, Ref(SERVER.type, server))


def test_an_image_and_an_own_disk_name_the_kernel_that_comes_back_with_them(stage: Stage) -> None:
    booted = booted_with_a_kernel(stage)
    checkpoint = stage.protect(booted.server)["checkpoint_id"]
    booted.lose(stage, booted.server, booted.root, booted.kernel)
    restore = stage.restore(checkpoint)
    assert restore["status"] == "success", restore["error_info"]
    kernel = stage.became(restore, booted.kernel)
    named = {image["name"]: image.get("kernel_id") for image in stage.all(IMAGE).values()}
    assert named == {"base": None, "root": kernel, "s-disk": kernel}
    assert stage.notes(restore)["kernel_id"] == f"mapped: {booted.kernel.id} -> the image that it became"


def test_a_living_image_without_its_kernel_does_not_serve(stage: Stage) -> None:
    booted = booted_with_a_kernel(stage)
    checkpoint = stage.protect(booted.server)["checkpoint_id"]
    booted.lose(stage, booted.server, booted.kernel)
    restore = stage.restore(checkpoint)
    root = stage.became(restore, booted.root)
    assert root != booted.root.id
    assert stage.now(IMAGE, root)["kernel_id"] == stage.became(restore, booted.kernel)


def test_a_living_kernel_is_used(stage: Stage) -> None:
    booted = booted_with_a_kernel(stage)
    checkpoint = stage.protect(booted.root)["checkpoint_id"]
    booted.lose(stage, booted.root)
    restore = stage.restore(checkpoint)
    assert stage.became(restore, booted.kernel) == booted.kernel.id
    assert stage.now(IMAGE, stage.became(restore, booted.root))["kernel_id"] == booted.kernel.id
    assert stage.notes(restore)["kernel_id"] == "same"


def test_a_kernel_that_nobody_saved_is_told(stage: Stage) -> None:
    booted = booted_with_a_kernel(stage)
    booted.lose(stage, booted.kernel)
    checkpoint = stage.protect(booted.server)["checkpoint_id"]
    booted.lose(stage, booted.server)
    restore = stage.restore(checkpoint)
    assert restore["status"] == "success", restore["error_info"]
    assert stage.became(restore, booted.root) == booted.root.id
    why = f"cannot: it names image {booted.kernel.id}, which is not in this cloud"
    assert stage.notes(restore)["kernel_id"] == why


def test_only_images_with_bytes_of_the_project_are_offered(stage: Stage) -> None:
    queued = stage.create(IMAGE, BODY)
    ref = image_of(stage)
    inventory = Inventory(stage.cloud())
    assert [resource.ref for resource in PROTECTABLE.all(inventory)] == [ref]
    public = next(image for image in stage.cloud().pages("image", "/images", "images") if image["name"] == "cirros")
    for id in (queued, public["id"]):
        with pytest.raises(NotFound):
            PROTECTABLE.one(inventory, id)


def test_the_project_is_only_the_callers_own(stage: Stage) -> None:
    inventory = Inventory(stage.cloud())
    (project,) = PROJECTS.all(inventory)
    assert (project.id, project.name) == (stage.cloud().project_id, "sandbox")
    with pytest.raises(NotFound):
        PROJECTS.one(inventory, stage.cloud("sandbox-b").project_id)


def test_a_shared_image_says_whom_it_was_shared_with(stage: Stage) -> None:
    ref = image_of(stage, standing={"visibility": "shared"})
    other = stage.cloud("sandbox-b").project_id
    stage.cloud().post("image", f"/images/{ref.id}/members", {"member": other})
    restore = stage.restore(stage.protect(ref)["checkpoint_id"])
    assert stage.now(IMAGE, stage.became(restore, ref))["visibility"] == "shared"
    assert stage.notes(restore)["members"].startswith(f"cannot: share it again with {other}")


def test_damage_in_the_bank_is_found_and_never_restored(stage: Stage) -> None:
    ref = image_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    piece = max(bank_files(stage, checkpoint), key=lambda path: path.stat().st_size)
    piece.write_bytes(b"x" + piece.read_bytes()[1:])
    verification = stage.verify(checkpoint)
    assert verification["status"] == "fail"
    assert piece.name in verification["error_info"]
    images = stage.all(IMAGE).keys()
    restore = stage.restore(checkpoint)
    assert restore["status"] == "fail"
    assert piece.name in restore["error_info"]
    assert stage.all(IMAGE).keys() == images


def test_bytes_that_are_not_what_glance_has_on_record_are_not_kept(stage: Stage) -> None:
    ref = image_of(stage)
    stored = stage.folder / "sandbox" / "bytes" / ref.id
    stored.write_bytes(b"x" + DATA[1:])
    operation = stage.protect(ref)
    assert operation["status"] == "error"
    assert "came damaged: sha512" in operation["error_info"]


def test_an_upload_that_is_cut_is_made_again(stage: Stage) -> None:
    ref = image_of(stage)
    checkpoint = stage.protect(ref)["checkpoint_id"]
    stage.fault(service="image", method="PUT", path="/images/.*/file", action="drop")
    restore = stage.restore(checkpoint)
    assert restore["status"] == "success", restore["error_info"]
    assert stage.bytes_of(stage.became(restore, ref), len(DATA) + 1) == DATA


@pytest.mark.parametrize("after", [0, 5 * MIB])
def test_a_download_that_is_cut_goes_on(stage: Stage, after: int) -> None:
    ref = image_of(stage)
    stage.fault(service="image", method="GET", path="/images/.*/file", action="drop", after=True, bytes=after)
    operation = stage.protect(ref)
    assert operation["status"] == "available", operation["error_info"]
    assert stage.verify(operation["checkpoint_id"])["status"] == "success"


def test_an_image_of_any_size_passes_in_little_memory(stage: Stage) -> None:
    block = Random(9).randbytes(MIB)
    id = stage.create(IMAGE, BODY)
    stage.cloud().upload(id, (number.to_bytes(4, "big") + block[4:] for number in range(400)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    operation = stage.protect(Ref(IMAGE.type, id))
    restore = stage.restore(operation["checkpoint_id"])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert restore["status"] == "success", restore["error_info"]
    assert grown * 1024 < 150 * MIB
