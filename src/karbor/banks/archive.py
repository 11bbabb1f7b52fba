"""Checkpoints in a bank: which object is written when, so that a kill at any moment leaves no half-truth.

The graph comes first, the pieces and indexes of artifacts after it, the manifest last: with it the checkpoint exists.
A deletion puts the tombstone first and takes it away last: with it the checkpoint is `deleting` to every reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from blake3 import blake3

from karbor import clock
from karbor.banks import documents
from karbor.banks.base import AlreadyThere, Bank, is_segment
from karbor.banks.pieces import INDEX, ArtifactDamaged, Progress, copy_artifact, in_order, read_index, verify_artifact
from karbor.banks.section import Section
from karbor.model.errors import BankCorrupt, BankError, BankFull, FormatTooNew, Invalid, NoSuchObject, NotFound
from karbor.model.manifest import FORMAT, Manifest, SavedResource, check_format
from karbor.model.resource import Ref, ResourceGraph

LABEL = "bank.json"
GRAPH = "graph.json"
MANIFEST = "manifest.json"
TOMBSTONE = "tombstone.json"
DATA = "data"

_OF_KARBOR_1 = re.compile(r"(^|/)checkpoints/[^/]+/(index\.json$|resource-data/)")
"""How a key of Karbor 1.x begins; in a folder the name of its container may stand before it."""

_PLAIN = 40
"""Characters of a long name that stay readable in its segment, before the hash that stands for it."""


class NoSuchCheckpoint(NotFound):
    """The bank has no finished checkpoint of that id for that project."""


class CheckpointDeleting(BankError):
    """The checkpoint is being deleted and takes nothing new."""


class CheckpointEntry(NamedTuple):
    """What a bank holds under one checkpoint's name."""

    project_id: str
    checkpoint_id: str
    state: str
    """`attempt` (no manifest), `available` or `error` (its outcome), `deleting`, or `unreadable` with `why`."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What reading a whole checkpoint proved: bytes of artifacts that are as they were, and everything that is not."""

    bytes_read: int
    artifacts: int
    problems: tuple[str, ...]


class Archive:
    """The checkpoints in `bank`. Reading changes nothing; the first write to an empty bank labels it as Karbor's."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self._bank_id = ""

    def bank_id(self) -> str:
        """The id that the bank got when it was first written to, "" while it is empty.

        Raises FormatTooNew, BankCorrupt, BankError where the bank is somebody else's.
        """
        if self._bank_id or self._read_label():
            return self._bank_id
        other = next(self.bank.list(), None)
        if other is not None and not self._read_label():  # else another process has labelled it a moment ago
            raise BankError(self._not_ours(other))
        return self._bank_id

    def claim(self) -> None:
        """Make sure that the bank is Karbor's, and label it when it is empty. Raises BankError."""
        if self.bank_id():
            return
        label = {"format": FORMAT, "bank_id": clock.new_id(), "created_at": clock.now()}
        with suppress(AlreadyThere):
            self.bank.put(LABEL, documents.to_bytes(label), if_absent=True)
        self._read_label()

    def begin(self, project_id: str, checkpoint_id: str, graph: ResourceGraph) -> None:
        """Keep the graph, before any hook runs. Again with the same graph is no error.

        Raises AlreadyThere when the checkpoint has another graph, CheckpointDeleting, BankError.
        """
        self.claim()
        key = self._living(project_id, checkpoint_id) + GRAPH
        documents.put_once(self.bank, key, documents.to_bytes({"format": FORMAT, "graph": graph.to_json()}))

    def section(self, project_id: str, checkpoint_id: str, ref: Ref, *, writable: bool) -> Section:
        """The drawer of one resource in the checkpoint."""
        if writable:
            self.claim()
        return Section(self.bank, self._drawer(project_id, checkpoint_id, ref), writable=writable)

    def artifacts(self, project_id: str, checkpoint_id: str, ref: Ref) -> dict[str, str]:
        """The finished artifacts of a resource, each with the hash of its index, as the manifest keeps them."""
        section = self.section(project_id, checkpoint_id, ref, writable=False)
        found = {}
        for name in section.folders():
            try:
                found[name] = blake3(documents.read(section, f"{name}/{INDEX}")).hexdigest()
            except NoSuchObject:
                continue
        return found

    def stored_bytes(self, manifest: Manifest) -> int:
        """Bytes that a checkpoint's artifacts take in the bank, by their indexes; an unreadable one counts none."""
        total = 0
        for saved in manifest.resources:
            section = self.section(manifest.project_id, manifest.checkpoint_id, saved.ref, writable=False)
            for name, expected in saved.artifacts.items():
                with suppress(BankCorrupt):  # a verification says so; here it must not keep others from being counted
                    total += read_index(section, name, expected=expected).stored
        return total

    def copy(
        self, project_id: str, source_id: str, copy_id: str, saved: SavedResource, *, progress: Progress | None = None
    ) -> None:
        """Write the artifacts of one resource of a checkpoint into another checkpoint, with every byte proved.

        Again is no error, and only what lacks is written. Raises BankCorrupt (the source is damaged), BankError.
        """
        source = self.section(project_id, source_id, saved.ref, writable=False)
        target = self.section(project_id, copy_id, saved.ref, writable=True)
        done = 0
        for name, expected in saved.artifacts.items():
            done += copy_artifact(source, target, name, expected=expected, progress=_from(done, progress)).size

    def write_manifest(self, manifest: Manifest) -> None:
        """Finish the checkpoint. Again with the same manifest is no error.

        Raises AlreadyThere when it was finished otherwise, CheckpointDeleting, BankError.
        """
        self.claim()
        key = self._living(manifest.project_id, manifest.checkpoint_id) + MANIFEST
        documents.put_once(self.bank, key, manifest.to_bytes())

    def read_manifest(self, project_id: str, checkpoint_id: str) -> Manifest:
        """The manifest, also of a checkpoint that is being deleted.

        Raises NoSuchCheckpoint, FormatTooNew, BankCorrupt.
        """
        key = self._folder(project_id, checkpoint_id) + MANIFEST
        raw = self._read(key, project_id, checkpoint_id)
        try:
            manifest = Manifest.from_bytes(raw)
        except (ValueError, RecursionError) as error:
            raise documents.damaged(self.bank, key, error) from error
        if (manifest.project_id, manifest.checkpoint_id) != (project_id, checkpoint_id):
            raise BankCorrupt(f"{self.bank.describe(key)} belongs to checkpoint {manifest.checkpoint_id}, not here")
        return manifest

    def read_graph(self, project_id: str, checkpoint_id: str) -> ResourceGraph:
        """The graph, also of an attempt. Raises NoSuchCheckpoint, FormatTooNew, BankCorrupt."""
        key = self._folder(project_id, checkpoint_id) + GRAPH
        document = documents.parse(self.bank, key, self._read(key, project_id, checkpoint_id))
        try:
            check_format(document["format"], self.bank.describe(key))
            return ResourceGraph.from_json(document["graph"])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise documents.damaged(self.bank, key, error) from error

    def entomb(self, project_id: str, checkpoint_id: str, reason: str) -> None:
        """Mark the checkpoint or attempt as being deleted; from here on there is no way back. Again is no error.

        A full bank gets an empty mark: deleting is how it gets room again.
        """
        self.claim()
        note = documents.to_bytes({"format": FORMAT, "deleted_at": clock.now(), "reason": reason})
        key = self._folder(project_id, checkpoint_id) + TOMBSTONE
        with suppress(AlreadyThere):
            try:
                self.bank.put(key, note, if_absent=True)
            except BankFull:
                self.bank.put(key, b"", if_absent=True)

    def discard(self, project_id: str, checkpoint_id: str, ref: Ref) -> None:
        """Remove what a resource has in the bank, before the manifest is written; may be run again after a kill."""
        for _ in in_order(self.bank.delete, self.bank.list(self._drawer(project_id, checkpoint_id, ref) + "/")):
            pass

    def is_deleting(self, project_id: str, checkpoint_id: str) -> bool:
        """Whether the checkpoint has its tombstone."""
        try:
            self.bank.stat(self._folder(project_id, checkpoint_id) + TOMBSTONE)
        except NoSuchObject:
            return False
        return True

    def remove(self, project_id: str, checkpoint_id: str) -> None:
        """Remove what the checkpoint has in the bank, its tombstone last; may be run again after a kill.

        Raises BankError, and changes nothing, where something is there and `entomb` was not called before.
        """
        folder = self._folder(project_id, checkpoint_id)
        if not self.is_deleting(project_id, checkpoint_id):
            if next(self.bank.list(folder), None) is None:
                return
            raise BankError(f"checkpoint {checkpoint_id} is not marked as being deleted, so nothing of it was removed")
        for _ in in_order(self.bank.delete, self.bank.list(f"{folder}{DATA}/")):
            pass
        for name in (MANIFEST, GRAPH, TOMBSTONE):
            self.bank.delete(folder + name)

    def checkpoints(self, project_id: str | None = None) -> Iterator[CheckpointEntry]:
        """What the bank holds for one project or for all, by project and id."""
        self.bank_id()
        projects = self.bank.folders() if project_id is None else iter((project_id,))
        for project in projects:
            for checkpoint in self.bank.folders(f"{_segment(project)}/checkpoints/"):
                yield self._entry(project, checkpoint)

    def check(self, project_id: str, checkpoint_id: str, *, progress: Progress | None = None) -> CheckReport:
        """Read and hash every byte that the manifest answers for. Damage is reported, not raised.

        Raises NoSuchCheckpoint, FormatTooNew, BankUnreadable.
        """
        problems: list[str] = []
        resources: tuple[SavedResource, ...] = ()
        try:
            resources = self.read_manifest(project_id, checkpoint_id).resources
            graph = self.read_graph(project_id, checkpoint_id)
            problems += [f"{saved.ref} is not in the graph" for saved in resources if saved.ref not in graph]
        except BankCorrupt as error:
            problems.append(str(error))
        done = artifacts = 0
        for saved in resources:
            section = self.section(project_id, checkpoint_id, saved.ref, writable=False)
            for name, expected in saved.artifacts.items():
                artifacts += 1
                try:
                    done += verify_artifact(section, name, expected=expected, progress=_from(done, progress))
                except ArtifactDamaged as error:
                    problems += error.problems
                    done += error.bytes_read
                except BankCorrupt as error:
                    problems.append(str(error))
        return CheckReport(done, artifacts, tuple(problems))

    def _read_label(self) -> bool:
        """Whether the bank has its label, from which its id is known then. Raises FormatTooNew, BankCorrupt."""
        try:
            label = documents.parse(self.bank, LABEL, documents.read(self.bank, LABEL))
        except NoSuchObject:
            return False
        match label:
            case {"format": int(found), "bank_id": str(bank_id)}:
                check_format(found, self.bank.describe(LABEL))
                self._bank_id = bank_id
            case _:
                raise BankCorrupt(f"{self.bank.describe(LABEL)} is damaged: it names no format and bank id")
        return True

    def _not_ours(self, key: str) -> str:
        """What is wrong with a bank without a label that holds `key`, its first object."""
        place = self.bank.properties.location
        if _OF_KARBOR_1.search(key):
            return (
                f"the bank at {place} holds checkpoints of Karbor 1 ({key}), which this version does not read; "
                'keep it, and name an empty place: docs/installation.md, "Coming from Karbor 1.6"'
            )
        return (
            f"the bank at {place} is not Karbor's: it has no {LABEL} and is not empty (it holds {key}); "
            "name an empty place"
        )

    def _folder(self, project_id: str, checkpoint_id: str) -> str:
        """Where the checkpoint lies, in a bank that this version can read. Raises FormatTooNew, Invalid."""
        self.bank_id()
        return f"{_segment(project_id)}/checkpoints/{_segment(checkpoint_id)}/"

    def _drawer(self, project_id: str, checkpoint_id: str, ref: Ref) -> str:
        return f"{self._folder(project_id, checkpoint_id)}{DATA}/{segment_of(ref.type)}/{segment_of(ref.id)}"

    def _living(self, project_id: str, checkpoint_id: str) -> str:
        """The checkpoint's folder, if it is not being deleted."""
        if self.is_deleting(project_id, checkpoint_id):
            raise CheckpointDeleting(f"checkpoint {checkpoint_id} is being deleted: nothing can be added to it")
        return self._folder(project_id, checkpoint_id)

    def _read(self, key: str, project_id: str, checkpoint_id: str) -> bytes:
        try:
            return documents.read(self.bank, key)
        except NoSuchObject as error:
            raise NoSuchCheckpoint(
                f"project {project_id} has no checkpoint {checkpoint_id}: there is no {self.bank.describe(key)}"
            ) from error

    def _entry(self, project_id: str, checkpoint_id: str) -> CheckpointEntry:
        entry = partial(CheckpointEntry, project_id, checkpoint_id)
        if self.is_deleting(project_id, checkpoint_id):
            return entry("deleting")
        try:
            return entry(self.read_manifest(project_id, checkpoint_id).outcome)
        except NoSuchCheckpoint:
            return entry("attempt")
        except (BankCorrupt, FormatTooNew) as error:
            return entry("unreadable", str(error))


def segment_of(text: str) -> str:
    """`text` (a resource's type or id) as one segment of a key, never the same for two texts.

    What a segment cannot have is written as "@" and two hexadecimal digits for each byte of its UTF-8, "@" too;
    what gets too long for a segment is cut and ends with "@@" and 32 digits of its BLAKE3 hash.
    """
    plain = re.sub(rb"[^A-Za-z0-9_.:-]", lambda found: b"@%02X" % found[0][0], text.encode()).decode()
    if plain in (".", ".."):
        return plain.replace(".", "@2E")
    if is_segment(plain):
        return plain
    return f"{plain[:_PLAIN]}@@{blake3(text.encode()).hexdigest()[:32]}"


def _segment(text: str) -> str:
    if not is_segment(text):
        raise Invalid(f"{text[:100]!r} cannot be the id of a project or checkpoint")
    return text


def _from(done: int, progress: Progress | None) -> Progress | None:
    """`progress` of a whole, from the progress of a part that begins after `done` bytes."""
    return None if progress is None else lambda more: progress(done + more)
