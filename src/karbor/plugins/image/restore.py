"""Restoring an image: a shell first, then its bytes, and what makes it usable by others last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Object
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.image.companions import lost_companion, name_companions
from karbor.plugins.image.data import upload_data
from karbor.plugins.image.discover import has_data
from karbor.plugins.image.facts import ImageFacts, image_body, standing
from karbor.plugins.image.protect import ARTIFACT
from karbor.plugins.options import option
from karbor.plugins.surroundings import stands


@dataclass(frozen=True)
class ImageRestoreOptions:
    """Options of image restores."""

    restore_name: str | None = option(
        None, title="Restore name", description="The name of the new image; the saved one where it is left empty"
    )


class RestoreImage(Operation):
    """A base image that only came along and is still there is used as it is."""

    Options = ImageRestoreOptions
    Saved = ImageFacts

    def on_main(self, ctx: Context) -> None:
        s: ImageFacts = ctx.saved
        if stands(ctx, IMAGE, partial(_unfit, ctx.refers)):
            ctx.use(IMAGE, ctx.resource.ref, ctx.resource.id)
            return
        id = ctx.make(IMAGE, ctx.resource.ref, image_body(s, ctx.options.restore_name or s.name))
        upload_data(ctx, id, ARTIFACT, s.data)
        changes = standing(s)
        if changes:
            ctx.act("set standing", partial(IMAGE.update, id=id, changes=changes), partial(_stands_so, id, changes))
        for attribute in ("data", "properties", "tags", "protected", "os_hidden"):
            ctx.note(attribute, "same")
        _note_losses(ctx)

    def on_complete(self, ctx: Context) -> None:
        image = ctx.new(ctx.resource.ref)
        if image != ctx.resource.id:
            name_companions(ctx, image, ctx.saved.properties)


def _unfit(companions: Collection[Ref], cloud: Cloud, living: Object) -> str:
    if not has_data(living):
        return f"is {living['status']} and has no bytes to boot from"
    return lost_companion(companions, cloud, living)


def _stands_so(id: str, changes: Mapping[str, Any], cloud: Cloud) -> bool:
    image = IMAGE.seen(cloud, id)
    return all(_comparable(image[key]) == _comparable(value) for key, value in changes.items())


def _comparable(value: Any) -> Any:
    """Tags have no order."""
    return sorted(value) if isinstance(value, list) else value


def _note_losses(ctx: Context) -> None:
    s: ImageFacts = ctx.saved
    if s.visibility == "public":
        ctx.note("visibility", "mapped", "public -> private: only an administrator makes an image public")
    else:
        ctx.note("visibility", "same")
    if s.members:
        ctx.note("members", "cannot", f"share it again with {', '.join(s.members)}: each of them has to accept it anew")
