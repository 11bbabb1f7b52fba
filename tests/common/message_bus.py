"""A listener on a message bus, as any other service would have: what Karbor tells there."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from oslo_config import cfg

PATIENCE = 30.0

Event = tuple[str, dict[str, Any]]


class Heard:
    """Everything that came over the bus, as an endpoint of oslo.messaging."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self.events: list[Event] = []

    def info(self, context: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any) -> None:
        assert publisher_id.startswith("karbor.")
        assert context in ({}, {"client_timeout": None}), "what the library itself puts there, and nothing of a request"
        with self._came:
            self.events.append((event_type, payload))
            self._came.notify_all()

    def until(self, good: Callable[[str, dict[str, Any]], bool], count: int) -> list[Event]:
        """The first `count` events that are `good`, in the order in which they came."""
        deadline = time.monotonic() + PATIENCE
        with self._came:
            while len(found := [event for event in self.events if good(*event)]) < count:
                assert self._came.wait(deadline - time.monotonic()), (found, self.events[-5:])
        return found

    def rest(self, verb: str, **facts: Any) -> dict[str, Any]:
        """What was told of the end of the work."""
        (event, payload), *_ = self.until(
            lambda name, payload: name.split(".")[1] == verb and facts.items() <= payload.items(), 1
        )
        return {"event": event, **payload}


@contextmanager
def listening(url: str, topic: str) -> Iterator[Heard]:
    """Listen on the bus at `url` (oslo.messaging's transport URL)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import oslo_messaging
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    transport = oslo_messaging.get_notification_transport(conf, url=url)
    heard = Heard()
    target = oslo_messaging.Target(topic=topic)
    listener = oslo_messaging.get_notification_listener(transport, [target], [heard], executor="threading")
    listener.start()
    try:
        yield heard
    finally:
        listener.stop()
        listener.wait()
