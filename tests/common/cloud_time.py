"""The sandbox's time in a test's hands: what takes time ends when the test says so, however slow the machine is."""

from __future__ import annotations

from karbor.sandbox import Sandbox

LONG = 3600.0
"""Seconds, longer than any test."""


def hold(sandbox: Sandbox) -> None:
    """From now on no asynchronous step ends by itself; what takes no time has ended."""
    with sandbox.state.lock:
        sandbox.state.run_due()
        sandbox.state.delay = LONG


def step(sandbox: Sandbox) -> bool:
    """Let everything that waits end now; what follows it waits in its turn. False where nothing waited."""
    with sandbox.state.lock:
        waiting = list(sandbox.state.table("timer").values())
        for timer in waiting:
            sandbox.state.drop("timer", timer["id"])
            sandbox.state.later(0, timer["job"], **timer["kwargs"])
        sandbox.state.run_due()
    return bool(waiting)


def finish(sandbox: Sandbox) -> None:
    """Let everything that waits end now, and what follows it; from now on nothing takes time."""
    sandbox.state.delay = 0.0
    step(sandbox)
