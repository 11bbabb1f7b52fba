"""Whoever operates the cloud: kills and starts its services, and does what a message tells an administrator to do.

`KARBOR_TEST_SERVICES` names a command that is called as `COMMAND stop NAME`, which has to kill the service at once
without letting it clean up, and `COMMAND start NAME`; both return when it is so. `KARBOR_TEST_ADMIN_CLOUD` names the
administrator's cloud in clouds.yaml.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVICES = os.environ.get("KARBOR_TEST_SERVICES", "")
ADMIN_CLOUD = os.environ.get("KARBOR_TEST_ADMIN_CLOUD", "")
SECONDS = 300.0
COMMAND = re.compile(r"`(openstack [^`]*)`")


@contextmanager
def dead(service: str) -> Iterator[None]:
    """Kill a service now and start it again afterwards, whatever happens in between."""
    _services("stop", service)
    try:
        yield
    finally:
        _services("start", service)


def obey(message: str, id: str) -> None:
    """Run, as an administrator, the one command that the message names for this object."""
    (command,) = {command for command in COMMAND.findall(message) if id in command}
    program = shutil.which("openstack") or str(Path(sys.executable).with_name("openstack"))
    _run([program, *shlex.split(command)[1:]], {**os.environ, "OS_CLOUD": ADMIN_CLOUD})


def _services(verb: str, service: str) -> None:
    _run([*shlex.split(SERVICES), verb, service], dict(os.environ))


def _run(words: list[str], environment: dict[str, str]) -> None:
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, f"{shlex.join(words)}: status {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
