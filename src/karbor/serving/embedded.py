"""`karbor serve`: API, engine and schedules in one process on a state folder, with the sandbox's Keystone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from karbor import config
from karbor.cloud.access import find_region
from karbor.cloud.connection import Cloud
from karbor.demo.sandbox_process import sandbox
from karbor.model.errors import KarborError
from karbor.sandbox import is_running
from karbor.serving.http import Server
from karbor.serving.parts import Parts
from karbor.serving.registration import enter_endpoints
from karbor.serving.signals import Ending
from karbor.store.database import open_state

THREADS = 16


def serve(folder: Path, port: int, sandbox_port: int | None, *, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the API's address once everything answers.

    `port` 0 and `sandbox_port` None take free ones. To be called in the main thread. Raises KarborError.
    """
    ending = Ending()
    with ExitStack() as running:
        running.enter_context(_cloud(folder, sandbox_port))
        open_state(folder).dispose()  # made or upgraded, so that it is there for everybody
        parts = Parts(_settings(folder))
        running.callback(parts.close)
        workforce = parts.workforce()
        server = Server(parts.application(workforce.conductor.wake), "127.0.0.1", port, THREADS)
        running.callback(server.stop)
        admin = Cloud.connect("sandbox-admin", state=folder)
        for _ in enter_endpoints(admin, server.url, admin.region):
            pass
        workforce.start()
        running.callback(workforce.stop)
        server.start()
        ready(server.url)
        ending.wait()


@contextmanager
def _cloud(folder: Path, port: int | None) -> Iterator[None]:
    """The sandbox on the folder: the one that runs, or one of our own for as long as we serve."""
    if not is_running(folder):
        with sandbox(folder, port or 0):
            yield
        return
    address = str(find_region("sandbox", folder).config["auth"]["auth_url"])
    if port and not re.match(rf"http://[^/]+:{port}/", address):
        raise KarborError(f"a sandbox runs on {folder} already, at {address} and not on port {port}; stop it first")
    yield


def _settings(folder: Path) -> Any:
    """The embedded defaults: everything in the state folder, and the sandbox's Keystone."""
    login = find_region("sandbox-service", folder)
    auth = login.config["auth"]
    return config.settings(
        [],
        {
            "DEFAULT": {
                "state_path": str(folder),
                "provider_config_dir": str(folder / "providers.d"),
                "secret_key_file": str(folder / "secret.key"),
            },
            "database": {"connection": f"sqlite:///{folder / 'karbor.db'}"},
            config.AUTH_TOKEN: {
                "auth_type": "password",
                "www_authenticate_uri": auth["auth_url"],
                "service_type": "data-protect",
                "region_name": login.region_name,
                **auth,
            },
        },
    )
