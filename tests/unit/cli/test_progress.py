"""What the person who waits sees."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from karbor.cli.progress import Bars, Lines, display

NAMES = ["server 'web'", "volume '\x1b[2Jdata'"]
RUNNING = {"operation_type": "protect", "phase": "forward", "error_info": None}
BACK = {"operation_type": "protect", "phase": "rollback", "error_info": "no room"}


def result(status: str = "", reason: str = "", done: int = 0, total: int = 0) -> dict[str, Any]:
    return {"status": status, "reason": reason, "done": done, "total": total, "unit": "bytes"}


def test_a_line_for_each_resource_that_has_ended_and_for_the_turn(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines({})
    lines.show(RUNNING, NAMES, {0: result(done=1, total=2)})
    assert capsys.readouterr().err == ""
    lines.show(RUNNING, NAMES, {0: result(), 1: result("error", "no room")})
    lines.show(RUNNING, NAMES, {0: result("available"), 1: result("error", "no room")})
    lines.show(BACK, NAMES, {0: result("error", "taken back"), 1: result("error", "no room")})
    lines.show(BACK, NAMES, {0: result("error", "taken back"), 1: result("error", "no room")})
    lines.close()
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] volume '\\x1b[2Jdata' error: no room",
        "[2/2] server 'web' available",
        "taking back what was done: no room",
    ]


def test_what_an_earlier_run_told_is_not_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    before = {0: result("available"), 1: result("error", "no room")}
    lines = Lines(before)
    lines.show(RUNNING, NAMES, before)
    assert capsys.readouterr().err == ""
    lines.show(RUNNING, NAMES, {**before, 1: result("available")})
    assert capsys.readouterr().err == "[1/2] volume '\\x1b[2Jdata' available\n"


@pytest.mark.parametrize(("term", "fits"), [("xterm", Bars), ("dumb", Lines)])
def test_bars_are_for_terminals_that_can_move(monkeypatch: pytest.MonkeyPatch, term: str, fits: type) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = display({})
    shown.close()
    assert isinstance(shown, fits)


def test_bars_tell_resources_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    bars = Bars(Console(file=screen, force_terminal=True, width=120, color_system=None))
    bars.show(RUNNING, NAMES, {0: result("available"), 1: result(done=500_000, total=2_000_000)})
    bars.say("cancelling")
    bars.close()
    shown = screen.getvalue()
    assert "protecting" in shown
    assert "1/2 resources" in shown
    assert "500.0 kB/2.0 MB" in shown
    assert "cancelling" in shown
    assert "\x1b[2Jdata" not in shown
    assert "\\x1b[2Jdata" in shown
