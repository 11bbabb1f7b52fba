"""A restore that failed and was kept is tried again: what has to be done once more, also what is there no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from karbor.cloud.kind import KINDS
from karbor.engine import effects
from karbor.engine.rollback import title
from karbor.engine.scope import Scope
from karbor.model.errors import Blocked
from karbor.store.journal import Entry

STANDS = ("made", "ready", "settled")
"""States of what has been made and has not been found wanting."""
MADE_AGAIN = "it was gone when the restore was resumed, and is made again"


def forgive(scope: Scope) -> None:
    """Have the run that follows do again what failed, and what was made and is gone, with all that was done to it.

    But not what failed in one form and then was made in another: it would be there twice.

    Raises CloudError where a service does not say what is there, Blocked where something stands that was made with
    what is gone; then the run must not follow.
    """
    _find_what_was_asked_for(scope)
    log, gone = scope.log, _gone(scope)
    again = {node for (node, _), row in log.hooks().items() if row["state"] in ("failed", "skipped", "again")}
    again.update(entry.node for entry in gone)
    for node, hook in log.hooks():
        if node in again:  # each, as a hook can be run again from its top, and only so what it made is made again
            log.put_hook(node, hook, "again")
    for entry in gone:
        note = Entry(entry.node, entry.hook, "note", key=title(entry), state="done")
        log.put(replace(log.entry(note.name) or note, value={"outcome": "mapped", "why": MADE_AGAIN}))
        effects.remove_twins(scope, entry)
        _renew(scope, entry)
    stand = {_about(entry) for entry in _makes(scope) if entry.state in STANDS}
    for entry in _makes(scope):
        if entry.node in again and entry.state in ("failed", "refused", "removed") and _about(entry) not in stand:
            if entry.state == "failed":
                effects.remove(scope, KINDS[entry.kind], entry.value["id"], cleaning=True)
            _renew(scope, entry)


def _makes(scope: Scope) -> Iterator[Entry]:
    return (entry for entry in scope.log.entries() if entry.verb == "make")


def _find_what_was_asked_for(scope: Scope) -> None:
    """Put on record what calls have made whose outcome was unclear, so that it is known what it was made with."""
    for entry in _makes(scope):
        if entry.state == "intent":
            id = effects.find(scope, KINDS[entry.kind], entry, scope.settings.in_doubt, cleaning=True)
            if id is not None:
                scope.log.put(replace(entry, state="made", value={**entry.value, "id": id}))


def _gone(scope: Scope) -> list[Entry]:
    """What was made, and of which the cloud says now that it is not there. Raises CloudError, Blocked; see above."""
    stand: list[Entry] = []
    gone: list[Entry] = []
    for entry in _makes(scope):
        if entry.state in STANDS:
            kind, id, body = KINDS[entry.kind], entry.value["id"], entry.value["body"]
            there = kind.get(scope.cloud, id) is not None and kind.is_still(scope.cloud, id, body)
            (stand if there else gone).append(entry)
    held = [
        f"{title(lost)}, which this restore had made, is gone, and {title(entry)} was made with it"
        for lost in gone
        if not _names(lost.value["body"], lost.value["id"])  # else it comes back under the same id
        for entry in stand
        if _names(entry.value["body"], lost.value["id"])
    ]
    if held:
        way_out = f"take the restore back with `karbor operation rollback {scope.operation_id}`, and restore again"
        raise Blocked(f"{'; '.join(held)}; {way_out}")
    return gone


def _names(body: Any, id: str) -> bool:
    """Whether the id stands anywhere in what was asked for."""
    if isinstance(body, Mapping):
        return any(_names(value, id) for value in body.values())
    if isinstance(body, list | tuple):
        return any(_names(value, id) for value in body)
    return bool(body == id)


def _renew(scope: Scope, entry: Entry) -> None:
    """Let it be made under a new tag; what was done in its resource since is done again where it does not show.

    The entry itself comes last: where this is cut short, it tells the next try that all this is still to be done.
    """
    for act in scope.log.of_node(entry.node, "act"):
        if act.seq > entry.seq:
            scope.log.put(replace(act, state="again"))
    value = {"body": entry.value["body"], "before": entry.value["before"]}
    scope.log.put(replace(entry, state="again", attempt=entry.attempt + 1, value=value))


def _about(entry: Entry) -> tuple[int, str, str, str, bool]:
    """What a make stands for, in whatever form it was asked for."""
    return (entry.node, entry.kind, entry.old_type, entry.old_id, entry.temporary)
