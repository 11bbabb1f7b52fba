"""Tells other services, on the cloud's message bus, what was asked of Karbor and how the work ended."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from karbor import clock
from karbor.model.errors import Invalid

LOG = logging.getLogger(__name__)

SECTION = "oslo_messaging_notifications"
LIBRARY = ("oslo_messaging", "oslo.messaging")
"""Its loggers: some of its modules name theirs with a dot."""
KEPT = 1000
"""So many notifications are kept for a bus that does not answer; later ones are dropped."""
LAST_SECONDS = 2.0
"""How long a process that ends waits for the bus to take the last ones."""

Notify = Callable[[str, Mapping[str, Any]], None]
"""Tells an event by its type and payload. Returns at once and raises nothing."""


def silence(event_type: str, payload: Mapping[str, Any]) -> None:
    """Tell nobody."""


class Notifier:
    """A `Notify` that hands over to a thread of its own, so that nobody ever waits for the bus.

    `send` gives one notification to the bus, for as long as that takes. The thread begins with the first one, in
    whichever process that is: servers make the application before they fork.
    """

    def __init__(self, send: Notify) -> None:
        self._send = send
        self._queue: queue.Queue[tuple[str, Mapping[str, Any]]] = queue.Queue(KEPT)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._full = False

    def __call__(self, event_type: str, payload: Mapping[str, Any]) -> None:
        self._begin()
        try:
            self._queue.put_nowait((event_type, dict(payload)))
            self._full = False
        except queue.Full:
            if not self._full:
                LOG.warning("%d notifications wait for the message bus; from now on new ones are dropped", KEPT)
            self._full = True

    def close(self) -> None:
        """Give what waits a last moment to go."""
        deadline = clock.monotonic() + LAST_SECONDS
        while self._queue.unfinished_tasks and clock.monotonic() < deadline:
            clock.sleep(0.01)
        if left := self._queue.unfinished_tasks:
            LOG.warning("%d notifications are lost: the message bus did not take them", left)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            event_type, payload = self._queue.get()
            try:
                self._send(event_type, payload)
            except Exception as error:  # noqa: BLE001 - no notification is a reason to stop anything, not even later ones
                LOG.warning("the notification %s could not be sent: %s", event_type, error)
            finally:
                self._queue.task_done()


class Trouble(logging.Handler):
    """Listens to what the library logs of a bus that does not answer, and repeats only the first of it.

    The library tells nobody else: it retries, for ever where it is told to, and swallows what it gives up.
    """

    def __init__(self, bus: str) -> None:
        super().__init__(logging.ERROR)
        self._bus = bus
        self._count = 0
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        self._count += 1
        if not self._told:
            self._told = True
            cause = record.exc_info[1] if record.exc_info else record.getMessage()
            LOG.warning("notifications do not reach the message bus %s; all else goes on: %s", self._bus, cause)

    def watched(self, send: Notify) -> Notify:
        """The same, which says when the trouble is over."""

        def sending(event_type: str, payload: Mapping[str, Any]) -> None:
            before = self._count
            send(event_type, payload)
            if self._told and self._count == before:
                self._told = False
                LOG.warning("notifications reach the message bus %s again", self._bus)

        return sending


def connected(found: Any) -> Notifier | None:
    """The notifier that the settings ask for, None where they name no driver.

    Everything else that oslo.messaging knows, such as [oslo_messaging_rabbit], it reads from the same files itself.
    Raises Invalid where the library is not installed, or cannot use the settings.
    """
    said = found[SECTION]
    if not said.driver:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports eventlet, which advises against itself; nothing here runs on that
        try:
            import oslo_messaging as messaging
        except ImportError as error:
            raise Invalid(
                f"[{SECTION}] driver: notifications need oslo.messaging ({error}); "
                "install karbor-service with its extra `notifications`, or take the driver out"
            ) from error
    library = cfg.ConfigOpts()
    library([], default_config_files=found.default_config_files, default_config_dirs=found.default_config_dirs)
    try:
        transport = messaging.get_notification_transport(library, url=said.transport_url)
        address = messaging.TransportURL.parse(library, said.transport_url)
        library.set_override("driver", said.driver, group=SECTION)
        bus = messaging.Notifier(transport, f"karbor.{socket.gethostname()}", topics=said.topics)
    except (messaging.MessagingException, cfg.Error) as error:
        raise Invalid(f"[{SECTION}] cannot be used: {error}") from error
    except ValueError:  # its words may be a part of the address, and of the password in it
        raise Invalid(f"[{SECTION}] transport_url is not like rabbit://USER:PASSWORD@HOST:PORT/") from None
    trouble = Trouble(", ".join(f"{host.hostname}:{host.port}" for host in address.hosts))
    for name in LIBRARY:
        logging.getLogger(name).addHandler(trouble)
    return Notifier(trouble.watched(lambda event_type, payload: bus.info({}, event_type, payload)))
