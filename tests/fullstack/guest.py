"""A running guest of the test image: executes the shell text that is sent to its floating IP over HTTP.

The image is the one that `KARBOR_TEST_GUEST` names, `lab-guest` unless it is set: with `sh`, `mke2fs`, `sha256sum`, its
own disk mounted at /disk, the number of its boots in /disk/boots, and all network interfaces set up by DHCP.
"""

from __future__ import annotations

import os
import urllib.request
from http.client import HTTPException

from karbor.cloud.connection import Cloud
from karbor.cloud.networks import FLOATING_IP
from karbor.cloud.servers import SERVER
from karbor.demo import waits
from karbor.model.errors import DeadlineExceeded

NAME = os.environ.get("KARBOR_TEST_GUEST", "lab-guest")
ANSWER_SECONDS = 120.0
"""An emulated guest on a busy machine is slow."""


def guest_image(cloud: Cloud) -> str:
    """The id of the guest's image."""
    found = cloud.pages("image", "/images", "images", params={"name": NAME})
    ids = [str(image["id"]) for image in found if image["name"] == NAME and image["status"] == "active"]
    assert ids, f"cloud {cloud.name!r} has no image {NAME!r}; name one in KARBOR_TEST_GUEST"
    return ids[0]


class Guest:
    """The guest of a server, reached through a floating IP."""

    def __init__(self, cloud: Cloud, server_id: str, floating_ip_id: str) -> None:
        self._cloud = cloud
        self._server_id = server_id
        floating = FLOATING_IP.get(cloud, floating_ip_id)
        assert floating is not None, f"floating IP {floating_ip_id} is gone"
        self.address = str(floating["floating_ip_address"])

    def wait(self, *disks: str) -> None:
        """Until it answers and sees these disks (as `vdb`), which may be a moment after Cinder says so."""
        wanted = " && ".join(["true", *(f"test -e /sys/block/{disk}" for disk in disks)])
        try:
            waits.until(f"the guest at {self.address} answers", lambda: self._send(wanted)[1] == 0)
        except DeadlineExceeded as error:
            raise AssertionError(f"{error}; its console:\n{self._console()}") from error

    def ask(self, text: str) -> str:
        """Run shell text in it; what it writes. It has to end well."""
        out, status = self._send(text)
        assert status == 0, f"the guest at {self.address} ended with {status}:\n{out}"
        return out

    def _send(self, text: str) -> tuple[str, int]:
        """What the text wrote, and its exit status; -1 when there was no answer, or not a whole one.

        It is sent once: what fills a disk is not to be done twice.
        """
        url = f"http://{self.address}/cgi-bin/sh"
        try:
            with urllib.request.urlopen(url, text.encode(), timeout=ANSWER_SECONDS) as answer:
                said = answer.read().decode(errors="replace").strip()
        except (OSError, HTTPException) as error:  # urllib's own errors are OSErrors
            return f"{type(error).__name__}: {error}", -1
        out, _, status = said.rpartition("rc=")
        return (out, int(status)) if status.isdecimal() else (said, -1)

    def _console(self) -> str:
        return str(SERVER.action(self._cloud, self._server_id, "os-getConsoleOutput", {"length": 40})["output"])
