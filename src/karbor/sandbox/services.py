"""Imports all that registers routes, jobs and first objects, in the order in which a new cloud is furnished."""
# ruff: isort: skip_file

from __future__ import annotations

from karbor.sandbox import control, discovery, identity, delegation, image, volume, network, compute  # noqa: F401
from karbor.sandbox import administration  # noqa: F401
