"""The three ways in which an operation changes a cloud: create, act, remove; each safe to do again after a crash."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.cloud.kind import KINDS, UNDER_WAY, Kind, Object, Step
from karbor.engine.scope import Scope
from karbor.model.errors import (
    CloudError,
    DeadlineExceeded,
    Failed,
    Gone,
    KarborError,
    NotNow,
    Refused,
    Unclear,
)
from karbor.store.journal import Entry

_SHORTEST_PAUSE, _LONGEST_PAUSE = 2.0**-7, 4.0
_COSTLIEST_PAUSE = 1.0
"""The longest pause that is made only because the looks take long."""
_SETTLING = 10.0
"""Seconds that a change may need to show before it is asked for once more."""


def pause_before(now: float, age: float, looked: float) -> float:
    """Seconds until the next look of a wait of this `age`, whose last look took `looked`; the clock shows `now`.

    Looks are a power of two seconds apart and fall on multiples of it, so that all who wait look at the same moments
    and share their requests. A slow answer comes from a busy service, which is asked less often.
    """
    wanted = max(age / 32, min(8 * looked, _COSTLIEST_PAUSE))
    between = 2.0 ** math.floor(math.log2(min(max(wanted, _SHORTEST_PAUSE), _LONGEST_PAUSE)))
    return between - now % between


class Patience:
    """Pauses that grow with the age of a wait, and a deadline that any sign of progress restarts."""

    def __init__(self, scope: Scope, seconds: float, *, cleaning: bool) -> None:
        self._scope = scope
        self._seconds = seconds
        self._cleaning = cleaning
        self._start = self._sign = self._woke = clock.monotonic()
        self._last: Any = None

    def progress(self, seen: Any) -> None:
        if seen != self._last:
            self._last = seen
            self._sign = clock.monotonic()

    def pause(self, what: str, way_out: Callable[[], str] = lambda: "") -> None:
        """Wait a little; raises DeadlineExceeded when nothing has moved for too long.

        It says `what` was waited for and, where there is one, the `way_out()`.
        """
        now = clock.monotonic()
        if now - self._sign > self._seconds:
            said = (f"{what}: no progress for {self._seconds:.0f} seconds", way_out())
            raise DeadlineExceeded("; ".join(filter(None, said)))
        self._scope.pause(pause_before(now, now - self._start, now - self._woke), cleaning=self._cleaning)
        self._woke = clock.monotonic()


def create(scope: Scope, kind: Kind, entry: Entry, *, fresh: bool) -> Entry:
    """Create what an intent asks for, or find what an earlier try made; the entry with the new id.

    Raises Refused (recorded: asked again it is raised again) and Unclear when every try ended in the dark.
    """
    in_doubt = 0.0 if fresh else scope.settings.in_doubt
    for attempt in range(scope.settings.tries):
        if attempt or not fresh:
            found = find(scope, kind, entry, in_doubt, cleaning=False)
            if found is not None:
                return _made(scope, entry, found)
            creates = entry.value.get("creates", 1) + 1
            entry = scope.log.put(
                replace(entry, at=clock.now(), value={**entry.value, "creates": creates}), durable=True
            )
        try:
            return _made(scope, entry, _ask(scope, kind, entry))
        except (Refused, Gone) as error:
            scope.log.put(replace(entry, state="refused", value={**entry.value, **_recorded(error)}))
            raise
        except Unclear as error:
            last = error
            # An answer means that the request has ended; silence means that it may still be at work.
            in_doubt = 0.0 if error.status else scope.settings.in_doubt
            scope.pause(scope.settings.retry * 2**attempt, cleaning=False)
    raise last


def _ask(scope: Scope, kind: Kind, entry: Entry) -> str:
    """The create itself; asked again while something that will pass stands in its way.

    That may be what an earlier try has made meanwhile: it holds the address, the name, the volume. Then that is it.
    """
    patience = Patience(scope, scope.settings.delete_wait, cleaning=False)
    while True:
        try:
            return kind.create(scope.cloud, entry.value["body"], scope.tag(entry))
        except (Refused, Gone) as error:
            passes = isinstance(error, NotNow)
            if may_have_twin(entry):
                found = find(scope, kind, entry, 0.0 if passes else scope.settings.in_doubt, cleaning=False)
                if found is not None:
                    return found
            if not passes:
                raise
            try:
                patience.pause(str(error))
            except DeadlineExceeded:
                raise error from None


def _made(scope: Scope, entry: Entry, id: str) -> Entry:
    return scope.log.put(replace(entry, state="made", value={**entry.value, "id": id}))


def find(scope: Scope, kind: Kind, entry: Entry, in_doubt: float, *, cleaning: bool) -> str | None:
    """What an earlier try made; looks until its request can no longer be at work."""
    while True:
        young = clock.seconds_since(entry.at) < in_doubt  # asked before the look, so that the last look is late enough
        found = kind.find(scope.cloud, entry.value["body"], scope.tag(entry), entry.value["before"])
        if found:
            return found[0]
        if not young:
            return None
        scope.pause(0.1, cleaning=cleaning)


def _recorded(error: CloudError) -> dict[str, Any]:
    return {"error": type(error).__name__, "reason": str(error), "status": error.status}


def wait_ready(scope: Scope, kind: Kind, id: str) -> Object:
    """Wait until a new object is finished. Raises Failed when it never will be."""
    return wait(scope, kind, id, kind.ready, cleaning=False)


def wait(scope: Scope, kind: Kind, id: str, ready: Callable[[Object], bool], *, cleaning: bool) -> Object:
    """Wait until `ready(object)`. Raises Gone when the object disappears, DeadlineExceeded when nothing moves."""
    patience: Patience | None = None
    while True:
        found = scope.cloud.read(kind, id)
        if found is None:
            raise Gone(f"{kind.name} {id} disappeared while it was waited for", 404)
        if ready(found):
            return found
        if patience is None:
            seconds = scope.settings.wait + scope.settings.wait_per_gib * kind.size(found)
            patience = Patience(scope, seconds, cleaning=cleaning)
        patience.progress(found)
        patience.pause(f"{kind.name} {id} stays in state {kind.state(found)!r}", partial(kind.way_out, found))


def act(
    scope: Scope, what: str, do: Callable[[Cloud], object], done: Callable[[Cloud], bool | Step], seconds: float, *,
    moved: Callable[[], Any], seen: bool | Step | None = None, cleaning: bool = False,
) -> None:  # fmt: skip
    """Do something until `done` says that it is done.

    `seen` is what it said a moment ago, where it was asked. `moved()` is any value that changes with the hook's own
    progress. Raises what `do` or `done` raise, but asks again on NotNow as long as `seconds` last, and a few times
    when the outcome is unclear.
    """
    patience = Patience(scope, seconds, cleaning=cleaning)
    asked: float | None = None
    unclear = 0
    while True:
        state = done(scope.cloud) if seen is None else seen
        seen = None
        if state is True:
            return
        if state is False and (asked is None or clock.monotonic() - asked > _SETTLING):
            try:
                do(scope.cloud)
                asked = clock.monotonic()
                continue
            except NotNow as error:
                state = UNDER_WAY
                reason = str(error)
            except Unclear as error:
                unclear += 1
                if unclear >= scope.settings.tries:
                    raise
                reason = str(error)
                scope.pause(scope.settings.retry * 2**unclear, cleaning=cleaning)
        else:
            reason = "it does not end"
        patience.progress(moved())
        patience.pause(f"{what}: {reason}", partial(_predicament_behind, scope, done))


def remove(scope: Scope, kind: Kind, id: str, *, cleaning: bool) -> None:
    """Delete an object and wait until it is gone; gone already is good.

    Raises KarborError naming the object and what holds it when it will not go in time.
    """
    patience = Patience(scope, scope.settings.delete_wait, cleaning=cleaning)
    unclear = 0
    ask = True
    while True:
        reason = "its deletion does not end"
        try:
            if ask:
                kind.delete(scope.cloud, id)
            found = scope.cloud.read(kind, id)
            if found is None:
                return
            ask = kind.undeletable(found)
            if ask:
                reason = f"the service gave its deletion up ({kind.state(found)})"
        except Gone:
            return
        except NotNow as error:
            reason, ask = str(error), True
        except (Unclear, Refused) as error:  # a refusal too may pass: services have one word for many reasons
            unclear += 1
            if unclear >= scope.settings.tries:
                raise
            reason, ask = str(error), True
            scope.pause(scope.settings.retry * 2**unclear, cleaning=cleaning)
        try:
            patience.pause(f"{kind.name} {id} could not be removed: {reason}")
        except DeadlineExceeded as error:
            way_out = _predicament(scope, kind, id) or _hold(scope, kind, id) or "remove it by hand"
            raise KarborError(f"{error}; {way_out}; then repeat the command") from error


def _predicament(scope: Scope, kind: Kind, id: str) -> str:
    """In which state an object is stuck, and what frees it; empty where it is not, or is gone, or does not show."""
    with suppress(CloudError):
        found = kind.get(scope.cloud, id)
        if found is not None and (way_out := kind.way_out(found)):
            return f"{kind.name} {id} stays in state {kind.state(found)!r}: {way_out}"
    return ""


def _hold(scope: Scope, kind: Kind, id: str) -> str:
    """What holds an object, and that it has to let go; empty where that does not show."""
    with suppress(CloudError):
        if holders := list(kind.holders(scope.cloud, id)):
            return f"it is held by {', '.join(holders)}: see that you need that no more, or take it off"
    return ""


def _predicament_behind(scope: Scope, done: Callable[[Cloud], bool | Step]) -> str:
    """The same for the object that a change waits for, where `done` is a kind's look at one."""
    kind = getattr(done.func, "__self__", None) if isinstance(done, partial) else None
    id = done.keywords.get("id") if isinstance(done, partial) else None
    return _predicament(scope, kind, id) if isinstance(kind, Kind) and id else ""


def undo(scope: Scope, entry: Entry) -> None:
    """Take back what one journal entry did, and say so in the journal; may be done again.

    An intent without an id is looked up by its tag first, for as long as its request may be at work.
    """
    if entry.state == "removed" or (entry.verb == "make" and entry.state in ("refused", "again")):
        return
    if entry.verb == "make":
        kind = KINDS[entry.kind]
        id = entry.value.get("id")
        if id is None:
            id = find(scope, kind, entry, scope.settings.in_doubt, cleaning=True)
        if id is not None and kind.is_still(scope.cloud, id, entry.value["body"]):
            remove(scope, kind, id, cleaning=True)
        remove_twins(scope, entry)
    elif entry.verb == "act" and entry.value.get("undo"):
        spec = entry.value["undo"]
        method = getattr(KINDS[spec["kind"]], spec["method"])
        with suppress(Gone):  # what was changed has gone itself
            _once(scope, f"undoing {entry.key!r}", partial(method, **spec["arguments"]))
    scope.log.put(replace(entry, state="removed"))


def may_have_twin(entry: Entry) -> bool:
    """Whether it was asked for more than once; what a late request makes has its tag, and shows best at the end."""
    return entry.verb == "make" and entry.value.get("creates", 1) > 1


def remove_twins(scope: Scope, entry: Entry) -> None:
    """Remove what else has the tag of an entry that was asked for more than once, when no request can be at work."""
    kind = KINDS[entry.kind]
    if may_have_twin(entry):
        while clock.seconds_since(entry.at) < scope.settings.in_doubt:
            scope.pause(0.1, cleaning=True)
        for twin in kind.find(scope.cloud, entry.value["body"], scope.tag(entry), entry.value["before"]):
            if twin != entry.value.get("id"):
                remove(scope, kind, twin, cleaning=True)


def settle(scope: Scope, entry: Entry) -> None:
    """Put back what the tag of a finished object replaced. Raises CloudError when the cloud will not have it."""
    kind, id = KINDS[entry.kind], entry.value["id"]
    what = f"taking the tag off {kind.name} {id}"
    _once(scope, what, partial(kind.settle, id=id, body=entry.value["body"], tag=scope.tag(entry)))


def _once(scope: Scope, what: str, do: Callable[[Cloud], object]) -> None:
    """Do what may be done again until one call has gone well, as patiently as `act`."""
    good = threading.Event()

    def do_well(cloud: Cloud) -> None:
        do(cloud)
        good.set()

    seconds = scope.settings.delete_wait
    act(scope, what, do_well, lambda _cloud: good.is_set(), seconds, moved=lambda: None, cleaning=True)


def raise_recorded(entry: Entry) -> None:
    """Raise again what making this entry raised before."""
    value = entry.value
    if entry.state == "refused":
        error = next(kind for kind in (*Refused.__subclasses__(), Refused, Gone) if kind.__name__ == value["error"])
        raise error(value["reason"], value["status"])
    if "reason" in value:
        raise Failed(f"{entry.kind} {value['id']} failed: {value['reason']}", value["id"], value["reason"])
