"""The comparisons that time filters such as `updated_at=gt:2025-01-01T00:00:00` may ask for."""

from __future__ import annotations

from collections.abc import Callable

COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "gt": lambda value, than: value > than,
    "gte": lambda value, than: value >= than,
    "lt": lambda value, than: value < than,
    "lte": lambda value, than: value <= than,
    "eq": lambda value, than: value == than,
    "neq": lambda value, than: value != than,
}
