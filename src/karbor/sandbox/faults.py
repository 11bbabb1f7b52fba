"""Faults on demand: which requests are to go wrong, how, and how often they did."""

from __future__ import annotations

import re
from typing import Any

from karbor.sandbox.http import SERVICES, Fault, Request

ACTIONS = ("status", "drop", "slow", "late", "stuck", "late_error", "half_made")
FIELDS = {
    "service",
    "method",
    "path",
    "body",
    "times",
    "after",
    "action",
    "status",
    "message",
    "headers",
    "seconds",
    "bytes",
}


class Faults:
    """The faults that are set. They are kept in memory only: a restarted cloud is a healthy one."""

    def __init__(self) -> None:
        self._faults: list[dict[str, Any]] = []

    def add(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Set one fault and return it as `all` shows it. Raises Fault 400 for a description that cannot be meant.

        `path` and `body` are regular expressions: the one must match the whole path after the service's prefix, the
        other something in the body. `times`: how often, None until cleared. `after`: do the work first. `action`:
        - `status` answers with that status (`message`, `headers`), `drop` cuts the connection, after a number of
          `bytes` of the answer where that is given, `slow` waits `seconds`, `late` cuts the connection and then waits;
        - `stuck` does the work and what was to follow never does, `half_made` cuts the connection besides;
        - `late_error` accepts the request, and what was to follow fails.
        """
        unknown = set(asked) - FIELDS
        action = asked.get("action", "status")
        if unknown or action not in ACTIONS or asked.get("service") not in (*SERVICES, None):
            raise Fault(
                400,
                f"not a fault: unknown fields {sorted(unknown)}, or action {action!r} not in {ACTIONS}, "
                f"or service {asked.get('service')!r} not in {SERVICES}",
            )
        if action == "status" and not isinstance(asked.get("status"), int):
            raise Fault(400, "not a fault: action 'status' needs a status, such as 503")
        try:
            for pattern in (asked.get("path", ""), asked.get("body", "")):
                re.compile(pattern)
        except re.error as problem:
            raise Fault(400, f"not a fault: {problem}") from None
        fault = {"method": None, "path": ".*", "times": 1, "after": False, **asked, "action": action, "hits": 0}
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let everything work again."""
        self._faults.clear()

    def all(self) -> list[dict[str, Any]]:
        """The faults with how often each was hit, used-up ones too."""
        return self._faults

    def match(self, request: Request) -> dict[str, Any] | None:
        """The first fault that this request runs into, counted as hit; None lets it pass."""
        if request.service == "sandbox":
            return None
        for fault in self._faults:
            if self._fits(fault, request):
                fault["hits"] += 1
                return fault
        return None

    @staticmethod
    def _fits(fault: dict[str, Any], request: Request) -> bool:
        if fault["times"] is not None and fault["hits"] >= fault["times"]:
            return False
        if fault.get("service") not in (None, request.service) or fault["method"] not in (None, request.method):
            return False
        if not re.fullmatch(fault["path"], request.rest):
            return False
        return "body" not in fault or re.search(fault["body"].encode(), request.body()) is not None
