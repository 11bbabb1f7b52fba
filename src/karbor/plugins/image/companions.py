"""Kernel and ramdisk: images that another image names by id, and without which it does not boot."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.model.resource import Ref
from karbor.plugins.base import Context

COMPANIONS = ("kernel_id", "ramdisk_id")
"""The properties that name them."""


def companions(properties: Mapping[str, Any]) -> Iterator[tuple[str, Ref]]:
    """The companions that an image with these properties has, each with the property that names it."""
    for key in COMPANIONS:
        if properties.get(key):
            yield key, Ref(IMAGE.type, properties[key])


def lost_companion(saved: Collection[Ref], cloud: Cloud, properties: Mapping[str, Any]) -> str:
    """What such an image has lost that a restore brings back, the end of the sentence "it …"; "" for nothing."""
    lost = (key for key, ref in companions(properties) if ref in saved and not _is_there(ref.id, cloud))
    return next((f"names image {properties[key]} as its {key}, which is gone" for key in lost), "")


def name_companions(ctx: Context, image: str, properties: Mapping[str, Any]) -> None:
    """Have a restored image name what became of its companions; in `on_complete`, when they have their bytes."""
    for key, ref in companions(properties):
        if ref not in ctx.refers:
            if not ctx.choose(f"{key} is there", partial(_is_there, ref.id)):
                ctx.note(key, "cannot", f"it names image {ref.id}, which is not in this cloud")
            continue
        new = ctx.new(ref)
        if new == ref.id:
            ctx.note(key, "same")
            continue
        change = partial(IMAGE.update, id=image, changes={key: new})
        ctx.act(f"set {key}", change, partial(_names, image, key, new))
        ctx.note(key, "mapped", f"{ref.id} -> the image that it became")


def _is_there(id: str, cloud: Cloud) -> bool:
    return IMAGE.get(cloud, id) is not None


def _names(image: str, key: str, id: str, cloud: Cloud) -> bool:
    return bool(IMAGE.seen(cloud, image).get(key) == id)
