"""Starts and stops a sandbox cloud over a state folder, inside a program or as a process of its own."""

from __future__ import annotations

import os
import re
import secrets
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from karbor.sandbox import services  # noqa: F401  (registers all routes)
from karbor.sandbox.discovery import REGION
from karbor.sandbox.identity import SERVICE_USER, enter_service_user, set_password
from karbor.sandbox.server import Server
from karbor.sandbox.state import State, is_used
from karbor.sandbox.tokens import SERVICE

# name in clouds.yaml: (user, project)
CLOUDS = {
    "sandbox": ("sandbox", "sandbox"),
    "sandbox-b": ("sandbox-b", "sandbox-b"),
    "sandbox-admin": ("admin", "sandbox"),
    "sandbox-service": (SERVICE_USER, SERVICE),
}


class Sandbox:
    """A cloud inside this program: `start`, talk to `url` (or through `folder`/clouds.yaml), `stop`.

    `folder` is the state folder; the cloud's own data lies in its `sandbox/`. `port` 0 takes a free port. `delay` is
    the time in seconds of one asynchronous step. `start` raises AlreadyRunning where another cloud uses the folder.
    """

    def __init__(self, folder: Path, port: int = 0, delay: float = 0.0) -> None:
        self.folder = Path(folder)
        self.clouds_file = self.folder / "clouds.yaml"
        self.port = port
        self.delay = delay
        self.url = ""

    def start(self) -> Sandbox:
        """Open the folder, listen, and write clouds.yaml."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "sandbox").mkdir(exist_ok=True, mode=0o700)
        self.state = State(self.folder / "sandbox", self.delay)
        try:
            passwords = self._passwords()
            with self.state.lock:
                enter_service_user(self.state)
                for name, password in passwords.items():
                    set_password(self.state, name, password)
            self._server = Server(self.state, self.port)
        except BaseException:
            self.state.close()
            raise
        self.url = self._server.url
        self._write_clouds(passwords)
        return self

    def stop(self) -> None:
        """Stop listening and write what is unwritten."""
        self._server.stop()
        self.state.close()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _passwords(self) -> dict[str, str]:
        """The passwords by user, those in clouds.yaml or new ones: people share one, the service has its own."""
        text = self.clouds_file.read_text() if self.clouds_file.exists() else ""
        known = dict(re.findall(r"^ +username: (\S+)\n +password: (\w+)$", text, re.MULTILINE))
        shared, own = known.get("sandbox", secrets.token_hex(16)), known.get(SERVICE_USER, secrets.token_hex(16))
        return {user: own if user == SERVICE_USER else shared for user, _ in CLOUDS.values()}

    def _write_clouds(self, passwords: dict[str, str]) -> None:
        text = "# Written by the sandbox cloud each time it starts.\nclouds:\n"
        for cloud, (user, project) in CLOUDS.items():
            text += (
                f"  {cloud}:\n"
                f"    auth_type: password\n"
                f"    auth:\n"
                f"      auth_url: {self.url}/identity/v3\n"
                f"      username: {user}\n"
                f"      password: {passwords[user]}\n"
                f"      project_name: {project}\n"
                f"      user_domain_name: Default\n"
                f"      project_domain_name: Default\n"
                f"    region_name: {REGION}\n"
                f'    identity_api_version: "3"\n'
                f'    volume_api_version: "3"\n'
            )
        draft = self.clouds_file.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(self.clouds_file)


def is_running(folder: Path) -> bool:
    """Whether a cloud runs on the state folder, in whatever process; where it listens stands in its clouds.yaml."""
    return is_used(Path(folder) / "sandbox")


def serve(folder: Path, port: int, delay: float, *, ready: Callable[[str], None] | None = None) -> None:
    """Run a cloud until SIGTERM or SIGINT; `ready` is called with its address once it listens.

    To be called in the main thread. Raises AlreadyRunning where another cloud uses the folder, OSError where the port
    is taken.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with Sandbox(folder, port, delay) as sandbox:
        if ready is not None:
            ready(sandbox.url)
        while not stopping.wait(1.0):  # one without an end is not ended by a signal that another thread gets
            pass
