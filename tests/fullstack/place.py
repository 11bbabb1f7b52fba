"""The project of a real cloud that a test works in: what it holds, what was built there, and `karbor` on it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from karbor import clock
from karbor.cloud.blockstorage import VOLUME, VOLUME_TYPE
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import KINDS, Kind, Object
from karbor.cloud.networks import DHCP_PORT, PORT
from karbor.cloud.servers import FLAVOR
from karbor.demo import waits
from karbor.demo.application import Application, Ground, ground
from karbor.demo.destroy import destroy
from karbor.model.errors import DeadlineExceeded, NotFound
from karbor.plugins.volume.discover import TEMPORARY

PATIENCE = 1500.0
"""Seconds that one command may take; the machine may be shared and its guests are emulated."""
ZONE_SECONDS = 120.0
"""For so long a zone may be away: Nova takes it for down while its only host is late with a sign of life."""
OPERATORS = {FLAVOR.name, VOLUME_TYPE.name}
"""Kinds that no member makes."""
MOMENTARY = {DHCP_PORT.name}
"""Kinds of what the cloud makes its own as soon as it gets round to it; they go with their network."""
AGENTS = ("network:dhcp", "network:distributed")
"""Owners of the ports that Neutron makes by itself, when it gets round to it."""

Inventory = dict[str, set[str]]


class Place:
    """One test module's work in the project; everything that it builds has names that begin with `prefix`."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.prefix = f"fullstack-{clock.new_id()[:6]}-"
        self.at_first = inventory(cloud)
        self._built: list[Application] = []

    def application(self) -> Application:
        """A new, empty application that will be destroyed at the end."""
        return self.know(Application())

    def know(self, app: Application) -> Application:
        """Remember an application that exists, so that it will be destroyed at the end."""
        self._built.append(app)
        return app

    def quick_zone(self) -> str:
        """The zone whose servers are no real guests, where there is one; else any."""
        zones = self.cloud.get("compute", "/os-availability-zone")["availabilityZoneInfo"]
        return "fake" if any(zone["zoneName"] == "fake" for zone in zones) else ""

    def ground(self, zone: str = "") -> Ground:
        """What the operator provides, with this zone or any. Raises NotFound."""
        found: list[Ground] = []

        def is_offered() -> bool:
            with suppress(NotFound):
                found.append(ground(self.cloud, zone=zone))
            return bool(found)

        with suppress(DeadlineExceeded):
            waits.until("the zone is there", is_offered, ZONE_SECONDS)
        return found[0] if found else ground(self.cloud, zone=zone)  # which says what is missing

    def karbor(self, *words: str, status: int = 0) -> Any:
        """Run a command as a person does; the document that it writes. It has to end with this status."""
        command = [sys.executable, "-P", "-m", "karbor", "--state", str(self.folder), "--cloud", self.cloud.name]
        ended = subprocess.run([*command, *words, "--format", "json"], capture_output=True, text=True, timeout=PATIENCE)
        assert ended.returncode == status, (
            f"karbor {' '.join(words)}: status {ended.returncode}\n{ended.stderr}\n{ended.stdout}"
        )
        return json.loads(ended.stdout)

    def protect(self, *words: str) -> Any:
        """Protect what the words say; the checkpoint's document."""
        return self.karbor("protect", *words)["checkpoint"]

    def restore(self, checkpoint: Any, *words: str) -> Any:
        """Restore; the restore's document."""
        return self.karbor("restore", checkpoint["id"], *words)["restore"]

    def leave(self) -> None:
        """Take back what has not ended, delete all that was built and restored, and all checkpoints."""
        for operation in self.karbor("operation", "list")["operation_logs"]:
            if operation["ended_at"] is None and operation["operation_type"] in ("protect", "restore"):
                self.karbor("operation", "rollback", operation["id"])
        while self._built:
            destroy(self.cloud, self._built[-1])
            self._built.pop()
        self.forget()
        waits.until(
            "Cinder has removed its temporary volumes", lambda: not any(map(_is_cinders, VOLUME.list(self.cloud)))
        )

    def forget(self) -> None:
        """Delete all checkpoints, newest first."""
        living = [
            each["id"] for each in self.karbor("checkpoint", "list")["checkpoints"] if each["status"] != "deleted"
        ]
        if living:
            self.karbor("checkpoint", "delete", *living)


def inventory(cloud: Cloud) -> Inventory:
    """The ids of everything that the project owns, by kind; what the cloud makes its own and removes is left out."""
    return {
        name: {str(obj["id"]) for obj in kind.list(cloud) if not _of_the_cloud(kind, obj)}
        for name, kind in KINDS.items()
        if name not in OPERATORS | MOMENTARY
    }


def _of_the_cloud(kind: Kind, obj: Object) -> bool:
    """The ports of Neutron's agents; the volumes that a backup may outlive, which `Place.leave` waits for."""
    return (kind is PORT and obj["device_owner"] in AGENTS) or (kind is VOLUME and _is_cinders(obj))


def _is_cinders(volume: Object) -> bool:
    return TEMPORARY.fullmatch(volume["name"] or "") is not None


def more(now: Inventory, before: Inventory) -> Inventory:
    """What there is now and was not before; kinds without any are left out."""
    return {kind: ids - before[kind] for kind, ids in now.items() if ids - before[kind]}
