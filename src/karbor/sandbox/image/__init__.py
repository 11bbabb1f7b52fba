"""Glance: images with real data."""

from karbor.sandbox.image import data, fill, images, listing, members  # noqa: F401
