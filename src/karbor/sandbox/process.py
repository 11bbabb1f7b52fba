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
from karbor.sandbox.identity import set_password
from karbor.sandbox.server import Server
from karbor.sandbox.state import State

# name in clouds.yaml: (user, project)
CLOUDS = {
    "sandbox": ("sandbox", "sandbox"),
    "sandbox-b": ("sandbox-b", "sandbox-b"),
    "sandbox-admin": ("admin", "sandbox"),
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
            password = self._password()
            with self.state.lock:
                set_password(self.state, password)
            self._server = Server(self.state, self.port)
        except BaseException:
            self.state.close()
            raise
        self.url = self._server.url
        self._write_clouds(password)
        return self

    def stop(self) -> None:
        """Stop listening and write what is unwritten."""
        self._server.stop()
        self.state.close()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _password(self) -> str:
        """The password of all users: the one in clouds.yaml, or a new one."""
        text = self.clouds_file.read_text() if self.clouds_file.exists() else ""
        known = re.search(r"^ +password: (\w+)$", text, re.MULTILINE)
        return known[1] if known else secrets.token_hex(16)

    def _write_clouds(self, password: str) -> None:
        text = "# Written by the sandbox cloud each time it starts.\nclouds:\n"
        for cloud, (user, project) in CLOUDS.items():
            text += (
                f"  {cloud}:\n"
                f"    auth_type: password\n"
                f"    auth:\n"
                f"      auth_url: {self.url}/identity/v3\n"
                f"      username: {user}\n"
                f"      password: {password}\n"
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
        stopping.wait()
