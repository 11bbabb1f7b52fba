"""Cinder: volumes, snapshots, backups and types, with real bytes."""

from karbor.sandbox.volume import actions, backups, build, limits, restore, snapshots, types, volumes  # noqa: F401
