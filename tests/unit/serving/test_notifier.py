"""Notifications: what the settings may say, and a bus that is slow, down, or back again."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from karbor import config, notifier
from karbor.model.errors import Invalid
from karbor.notifier import KEPT, Notifier

PATIENCE = 30.0


def until(good: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def settings(folder: Path, text: str) -> Any:
    file = folder / "karbor.conf"
    file.write_text(f"[{notifier.SECTION}]\n{text}")
    return config.settings([file])


@pytest.fixture
def closed_port() -> Iterator[int]:
    """It is held, and nobody listens on it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        yield int(found.getsockname()[1])


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """What listens to the library's log goes with its test."""
    loggers = [logging.getLogger(name) for name in notifier.LIBRARY]
    before = [list(logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.handlers.clear()
    yield
    for logger, handlers in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers


def test_without_a_driver_nothing_is_made_or_imported() -> None:
    assert notifier.connected(config.settings([])) is None
    script = (
        "import sys; from karbor import config, notifier, main\n"
        "assert notifier.connected(config.settings([])) is None\n"
        "assert not {'oslo_messaging', 'eventlet', 'kombu'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("driver = pigeon\n", "driver"),
        ("driver = messagingv2\ntransport_url = pigeon://me:secret@loft/\n", "pigeon"),
        ("driver = messagingv2\ntransport_url = rabbit://me:secret/word@host/\n", "transport_url is not like"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as error:
        notifier.connected(settings(tmp_path, text))
    assert "secret" not in str(error.value)


def test_the_library_reads_the_rest_of_the_same_files(tmp_path: Path) -> None:
    """It refuses there what it cannot use."""
    text = "driver = messagingv2\ntransport_url = rabbit://me:secret@127.0.0.1:1/\n[oslo_messaging_rabbit]\n"
    assert notifier.connected(settings(tmp_path, f"{text}rabbit_qos_prefetch_count = 1\n")) is not None
    with pytest.raises(Invalid, match="rabbit_qos_prefetch_count"):
        notifier.connected(settings(tmp_path, f"{text}rabbit_qos_prefetch_count = many\n"))


def test_without_the_library_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "karbor.conf").write_text(f"[{notifier.SECTION}]\ndriver = messagingv2\n")
    script = (
        "import sys; sys.modules['oslo_messaging'] = None\n"
        "from karbor import config, notifier\nfrom karbor.model.errors import Invalid\n"
        f"found = config.settings([{str(tmp_path / 'karbor.conf')!r}])\n"
        "try:\n    notifier.connected(found)\nexcept Invalid as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert "install karbor-service with its extra `notifications`" in said.stdout


def test_a_bus_that_is_down_is_said_once_and_nobody_waits(
    tmp_path: Path, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"rabbit://me:secret@127.0.0.1:{closed_port}/"
    found = notifier.connected(settings(tmp_path, f"driver = messagingv2\ntransport_url = {address}\nretry = 1\n"))
    assert found is not None
    for number in range(3):
        found("karbor.plan_create.end", {"number": number})
    until(lambda: not found._queue.unfinished_tasks)  # each was tried twice and given up
    said = [record for record in caplog.records if record.name.startswith("karbor")]
    assert len(said) == 1
    assert "do not reach the message bus" in said[0].getMessage() and str(closed_port) in said[0].getMessage()
    assert "secret" not in caplog.text


def test_what_a_dead_bus_does_not_take_is_bounded_and_told(caplog: pytest.LogCaptureFixture) -> None:
    alive = threading.Event()
    sent: list[Mapping[str, Any]] = []

    def send(event_type: str, payload: Mapping[str, Any]) -> None:
        alive.wait(PATIENCE)
        sent.append(payload)

    found = Notifier(send)
    found("karbor.plan_create.end", {"number": 0})
    until(found._queue.empty)  # the thread holds this one
    payload = {"number": 1}
    for number in range(1, KEPT + 3):
        payload["number"] = number
        found("karbor.plan_create.end", payload)
    assert [record.getMessage() for record in caplog.records] == [
        f"{KEPT} notifications wait for the message bus; from now on new ones are dropped"
    ]
    alive.set()
    until(lambda: len(sent) > KEPT)
    assert [one["number"] for one in sent] == list(range(KEPT + 1)), "in their order, as they were when they were told"


def test_one_that_cannot_be_sent_does_not_keep_the_next_from_it(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[str] = []

    def send(event_type: str, payload: Mapping[str, Any]) -> None:
        if not sent:
            sent.append("nothing")
            raise ZeroDivisionError("nobody thought of this")
        sent.append(event_type)

    found = Notifier(send)
    found("first", {})
    found("second", {})
    found.close()
    assert sent == ["nothing", "second"]
    assert "the notification first could not be sent: nobody thought of this" in caplog.text
