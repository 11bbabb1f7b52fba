"""How volumes come to be and what happens to them after the answer: they are filled, they grow, they go."""

from __future__ import annotations

from typing import Any

from karbor.sandbox import bytes as disk
from karbor.sandbox.http import Request
from karbor.sandbox.image.fill import fill_image, forget_image
from karbor.sandbox.image.rules import is_broken
from karbor.sandbox.state import Object, State, job, new_id
from karbor.sandbox.volume.rules import ZONE, change, check_quota
from karbor.sandbox.volume.types import is_multiattach


def new_volume(state: State, request: Request, kind: Object, size: int, **facts: Any) -> Object:
    """A volume of `size` GiB in `creating`, full of zeros, that counts against the quota. Raises Fault 413."""
    check_quota(state, request.project_id, volumes=1, gigabytes=size)
    volume: Object = {
        "id": new_id(),
        "project_id": request.project_id,
        "user_id": request.user_id,
        "name": None,
        "description": None,
        "size": size,
        "status": "creating",
        "volume_type": kind["name"],
        "volume_type_id": kind["id"],
        "multiattach": is_multiattach(kind),
        "encrypted": "encryption" in kind,
        "availability_zone": ZONE,
        "snapshot_id": None,
        "source_volid": None,
        "bootable": False,
        "readonly": None,
        "metadata": {},
        "image_metadata": None,
        "attachments": [],
        "temporary": False,
        "scheduled": state.fate != "half_made",
        "created_at": state.now(),
        "updated_at": None,
        **facts,
    }
    disk.make_empty(state.bytes_of(volume["id"]), size * disk.GIB)
    state.save("volume", volume)
    state.count("volume", volume["name"])
    return volume


@job("volume.build")
def build(state: State, id: str, source: str | None, error: bool = False) -> None:
    """Fill a new volume with the bytes of a snapshot or volume (`source`, None for blank); it is `available` then."""
    volume = state.table("volume").get(id)
    if volume is None:
        return
    if error or (source is not None and not state.bytes_of(source).exists()):
        change(state, "volume", volume, status="error")
        return
    if source is not None:
        disk.copy(state.bytes_of(source), state.bytes_of(id), volume["size"] * disk.GIB)
    change(state, "volume", volume, status="available")


@job("volume.download")
def download(state: State, id: str, image_id: str, error: bool = False) -> None:
    """The first step of a volume from an image: `downloading`; an image that is gone ends in `error`."""
    volume = state.table("volume").get(id)
    if volume is None:
        return
    image = state.table("image").get(image_id)
    if error or image is None:
        change(state, "volume", volume, status="error")
        return
    facts = {key: image[key] for key in ("checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")}
    described = {"image_id": image_id, "image_name": image["name"], **facts, **image["properties"]}
    change(
        state,
        "volume",
        volume,
        status="downloading",
        image_metadata={key: str(value) for key, value in described.items() if value is not None},
    )
    state.later(None, "volume.convert", id=id, image_id=image_id)


@job("volume.convert")
def convert(state: State, id: str, image_id: str) -> None:
    """The second step: the bytes; an image that is not what it says ends in `error`."""
    volume = state.table("volume").get(id)
    if volume is None:
        return
    image = state.table("image").get(image_id)
    if image is None or is_broken(state, image):
        change(state, "volume", volume, status="error")
        return
    disk.copy(state.bytes_of(image_id), state.bytes_of(id), volume["size"] * disk.GIB)
    change(state, "volume", volume, status="available", bootable=True)


@job("volume.delete")
def delete(state: State, id: str, error: bool = False) -> None:
    """The volume and its bytes are gone; its backups stay."""
    volume = state.table("volume").get(id)
    if volume is None:
        return
    if error:
        change(state, "volume", volume, status="error_deleting")
        return
    state.drop("volume", id)
    state.bytes_of(id).unlink(missing_ok=True)


@job("volume.extend")
def extend(state: State, id: str, size: int, before: str, error: bool = False) -> None:
    """The volume has `size` GiB, the new part zeros, and its old state again."""
    volume = state.table("volume").get(id)
    if volume is None:
        return
    if error:
        change(state, "volume", volume, status="error_extending")
        return
    disk.resize(state.bytes_of(id), size * disk.GIB)
    change(state, "volume", volume, status=before, size=size)


@job("volume.retype")
def retype(state: State, id: str, name: str, type_id: str, before: str, error: bool = False) -> None:
    """The volume is of another type, or on failure of the old one; its state is the old one either way."""
    volume = state.table("volume").get(id)
    if volume is not None:
        new = {} if error else {"volume_type": name, "volume_type_id": type_id}
        change(state, "volume", volume, status=before, **new)


@job("volume.upload")
def upload(state: State, id: str, image_id: str, started: bool = False, error: bool = False) -> None:
    """The image gets the volume's bytes; the volume is `available` again once the image is ready or has failed."""
    volume = state.table("volume").get(id)
    image = state.table("image").get(image_id)
    if volume is None:
        return
    if image is not None and error:
        forget_image(state, image)
    elif image is not None and not started:
        fill_image(state, image, state.bytes_of(id))
    if not error and image is not None and image["status"] == "saving":
        state.later(0.02, "volume.upload", id=id, image_id=image_id, started=True)
    else:
        change(state, "volume", volume, status="available")
