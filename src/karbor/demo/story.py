"""The demo: an application is built, protected, lost and restored with the real commands, then compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.servers import SERVER
from karbor.demo.application import Application, build, ground
from karbor.demo.compare import Row, compare, compare_bytes, is_equal, mapping_of
from karbor.demo.describe import Description, describe, hash_bytes
from karbor.demo.destroy import destroy, holdings
from karbor.demo.screen import Screen
from karbor.model.errors import KarborError

# -P: nothing is imported from the folder that the person happens to be in
KARBOR = (sys.executable, "-P", "-m", "karbor")
STATE = "KARBOR_STATE"
BYTES = 8 << 20
"""Random bytes at the beginning of the image and of each volume."""


class Story:
    """One telling, in a state folder, on a cloud; `prefix` begins the names of all that is built.

    `guests`: whether guests really run there, so that the bytes of a server's own disk change by themselves.
    """

    def __init__(self, folder: Path, cloud: str, *, prefix: str = "", guests: bool = False) -> None:
        self.folder = folder
        self._name = cloud
        self._prefix = prefix
        self._guests = guests
        self._cloud = Cloud.connect(cloud, state=folder)
        self._app = Application()
        self._checkpoint = ""
        self._screen = Screen()
        self._started = clock.monotonic()

    def tell(self) -> bool:
        """From the building to the comparison; whether all is equal. Raises KarborError where something fails."""
        at_first = holdings(self._cloud)
        self._heading("Build an application and hash its bytes, all through the cloud's public APIs")
        build(self._cloud, ground(self._cloud), self._prefix, BYTES, self._app)
        self._screen.say(f"Built: {', '.join(_titles(self._app))}.")
        before, hashes = self._look()

        self._heading("Protect it; naming the servers is enough")
        self._screen.say(f"$ export {STATE}={self.folder}", "bold green")
        self._run("protect", *(f"server/{self._prefix}{role}" for role in self._app.of(SERVER)))
        self._checkpoint = self._last_operation()["checkpoint_id"]

        self._heading("Delete everything")
        destroy(self._cloud, self._app)
        self._expect_only(at_first)
        self._screen.say("All of it is gone: the project holds what it held before, and nothing else.")

        self._heading("Restore it")
        self._run("restore", self._checkpoint)
        mapping = mapping_of(self._last_operation()["restore"])
        self._app = self._app.became(mapping)

        self._heading("Hash the bytes again, and compare everything")
        after, new_hashes = self._look()
        self._expect_only({*at_first, *(thing.id for thing in self._app.things.values())})
        return self._verdict(list(compare(before, after, mapping)), list(compare_bytes(hashes, new_hashes)))

    def clean(self) -> None:
        """Delete what was built or restored, and the checkpoint."""
        self._heading("Clean up")
        destroy(self._cloud, self._app)
        if self._checkpoint:
            self._run("checkpoint", "delete", self._checkpoint)

    def _look(self) -> tuple[dict[str, Description], dict[str, str]]:
        """What the cloud shows of the application, and the hashes of its bytes."""
        self._screen.say("Reading every byte and every attribute …")
        hashes = hash_bytes(self._cloud, self._app, own_disks=not self._guests)
        described = describe(self._cloud, self._app)
        attributes = sum(len(each.attributes) for each in described.values())
        self._screen.say(f"Read: {attributes} attributes of {len(described)} resources, {len(hashes)} disks or images.")
        return described, hashes

    def _run(self, *words: str) -> None:
        """Run a command as a person would. Raises KarborError when it ends with a status that is not 0."""
        command = (*words, "--cloud", self._name)
        self._screen.command(("karbor", *command))
        status = subprocess.run((*KARBOR, *command), env=self._environment(), check=False).returncode  # noqa: S603
        if status:
            raise KarborError(f"`karbor {words[0]}` ended with status {status}; the state is in {self.folder}")

    def _last_operation(self) -> dict[str, Any]:
        """The document of what was just run."""
        command = (*KARBOR, "operation", "show", "--format", "json")
        told = subprocess.run(command, env=self._environment(), check=True, capture_output=True)  # noqa: S603
        document: dict[str, Any] = json.loads(told.stdout)["operation_log"]
        return document

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, STATE: str(self.folder)}

    def _expect_only(self, ids: Collection[str]) -> None:
        """Raises KarborError when the project holds anything else."""
        left = [what for id, what in holdings(self._cloud).items() if id not in ids]
        if left:
            raise KarborError(f"project {self._cloud.project_id} holds what it should not: {', '.join(left)}")

    def _verdict(self, attributes: Sequence[Row], disks: Sequence[Row]) -> bool:
        rows = [*attributes, *disks]
        self._screen.attributes(attributes)
        self._screen.hashes(disks)
        self._screen.totals(rows)
        equal = is_equal(rows)
        seconds = clock.monotonic() - self._started
        if equal:
            self._screen.say(f"The restored application is equal to the lost one. ({seconds:.0f} s)", "bold green")
        else:
            self._screen.say(f"The restored application is NOT equal to the lost one. ({seconds:.0f} s)", "bold red")
        return equal

    def _heading(self, title: str) -> None:
        self._screen.step(title, clock.monotonic() - self._started)


def _titles(app: Application) -> list[str]:
    return [f"{thing.kind.name.replace('_', ' ')} {role}" for role, thing in app.things.items()]
