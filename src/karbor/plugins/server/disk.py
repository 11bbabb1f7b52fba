"""The own disk of a server that booted from an image: its snapshot, its bytes in the bank, a new image from them."""

from __future__ import annotations

from karbor.cloud.images import IMAGE, MARK, SERVER_IMAGE
from karbor.cloud.servers import SERVER
from karbor.model.errors import Gone
from karbor.model.resource import Ref
from karbor.plugins.base import Context
from karbor.plugins.image.companions import name_companions
from karbor.plugins.image.data import save_data, upload_data
from karbor.plugins.server.bodies import disk_body
from karbor.plugins.server.facts import disk_facts

ARTIFACT = "disk"


def has_own_disk(ctx: Context) -> bool:
    """Whether the server that is being protected booted from an image; looked at once."""
    return bool(ctx.choose("has its own disk", lambda cloud: bool(SERVER.seen(cloud, ctx.resource.id)["image"])))


def take_snapshot(ctx: Context) -> None:
    """Let Nova make an image of the disk, which is gone again when the server's hooks have ended."""
    ctx.wait(SERVER, ctx.resource.id, lambda server: server["OS-EXT-STS:task_state"] is None)
    body = {"server_id": ctx.resource.id, "name": f"karbor, disk of {ctx.resource.id}"}
    ctx.make(SERVER_IMAGE, _snapshot_of(ctx), body, temporary=True)


def keep_disk(ctx: Context) -> None:
    """Read the snapshot's bytes into the server's drawer."""
    id = ctx.new(_snapshot_of(ctx))
    snapshot = SERVER_IMAGE.get(ctx.cloud, id)
    if snapshot is None:
        raise Gone(f"{ctx.resource}: image {id}, the snapshot of its disk, is gone; protect the server again", 404)
    ctx.keep(disk={"image": disk_facts(snapshot, mark=MARK), "data": save_data(ctx, snapshot, ARTIFACT)})


def restore_disk(ctx: Context, name: str) -> None:
    """Make the image that the server called `name` will boot from, which stays: a rebuild needs it."""
    id = ctx.make(IMAGE, disk_of(ctx), disk_body(ctx.saved, name))
    upload_data(ctx, id, ARTIFACT, ctx.saved.disk["data"])


def whole_disk(ctx: Context) -> str:
    """The id of that image, once it names the kernel and ramdisk that are there now."""
    id = ctx.new(disk_of(ctx))
    name_companions(ctx, id, ctx.saved.disk["image"]["properties"])
    return id


def disk_of(ctx: Context) -> Ref:
    """What the restored disk is known by; it is nobody else's, unlike the image that the server booted from."""
    return Ref(IMAGE.type, f"{ctx.resource.id}/{ARTIFACT}")


def _snapshot_of(ctx: Context) -> Ref:
    return Ref(SERVER_IMAGE.type, ctx.resource.id)
