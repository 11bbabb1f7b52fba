"""Protecting an image: its bytes and attributes, read while it stays in use."""

from __future__ import annotations

from dataclasses import dataclass

from karbor.cloud.images import IMAGE
from karbor.model.errors import Invalid
from karbor.plugins.base import Context, Operation
from karbor.plugins.image.data import save_data
from karbor.plugins.image.discover import has_data
from karbor.plugins.image.facts import ImageFacts, image_facts
from karbor.plugins.options import option

ARTIFACT = "data"


@dataclass(frozen=True)
class ImageProtectOptions:
    """Options of image backups."""

    backup_name: str | None = option(
        None, title="Backup name", description="Kept for older plans: what is saved of an image has no name of its own"
    )


class ProtectImage(Operation):
    """An image never changes once it is active, so there is nothing to prepare."""

    Options = ImageProtectOptions
    Saved = ImageFacts

    def on_main(self, ctx: Context) -> None:
        image = IMAGE.seen(ctx.cloud, ctx.resource.id)
        if not has_data(image):
            raise Invalid(
                f"{ctx.resource} cannot be protected: it is {image['status']} and has {image['size'] or 0} bytes"
            )
        ctx.keep(**image_facts(image))
        if image["visibility"] == "shared":
            members = ctx.cloud.get("image", f"{IMAGE.at(image['id'])}/members")["members"]
            ctx.keep(members=[member["member_id"] for member in members])
        ctx.keep(data=save_data(ctx, image, ARTIFACT))
