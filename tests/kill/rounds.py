"""What is killed and what has to be true afterwards: rounds of protect, and rounds of restore."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from arena import Arena, Ended, Holdings

from karbor.demo.application import OWN_DISK
from karbor.demo.compare import DIFFERENT, compare, mapping_of
from karbor.demo.describe import describe
from karbor.demo.destroy import destroy
from karbor.store import operations

PROTECT = ("protect", "server/web", "server/db")


class Rounds:
    """Rounds of one verb. Each ends with the project as it was before.

    The first run is not killed: how long it takes says from which moments the kills are drawn, and what it makes is
    what every other run has to make.
    """

    verb = ""

    def __init__(self, arena: Arena, words: tuple[str, ...]) -> None:
        self.arena = arena
        self.figures: Counter[str] = Counter()
        """Kills, how they ended, those that came after the end (`too_late`), and objects `made_twice` or `leaked`."""
        self._words = words
        self._before: Holdings = arena.holdings()
        created = arena.creates()
        ended = arena.run(*words)
        self.seconds = ended.seconds
        self._made = arena.creates() - created
        self._grown = self._growth()
        self._check(ended)
        self._clean(ended.id)
        self._expect(nothing=True)

    def kill(self, random: Random, then: str) -> None:
        """Kill one run at a random moment and let `then` (resume, rollback) follow."""
        id, moment, created = self._cut_short(random)
        ended = self.arena.run("operation", then, id)
        made = self.arena.creates() - created
        self.figures["kills"] += 1
        self.figures["made_twice"] += sum((made - self._made).values())
        context = f"{self.verb} {id}, killed after {moment:.3f} s: {ended.messages}"
        assert not made - self._made, f"made twice: {made - self._made}; {context}"
        assert ended.status == 0, context
        if then == "resume":
            assert made == self._made, f"not made: {self._made - made}; {context}"
            self._expect(nothing=False, context=context)
            self._check(ended)
            self._clean(id)
        self._expect(nothing=True, context=context)
        self.figures["resumed" if then == "resume" else "rolled_back"] += 1

    def _cut_short(self, random: Random) -> tuple[str, float, Counter[str]]:
        """Kill until a kill came before the end; the operation's id, the moment, and what had been created before."""
        while True:
            created, moment = self.arena.creates(), random.uniform(0, self.seconds)
            id, cut = self.arena.kill(moment, *self._words)
            if cut:
                return id, moment, created
            self.figures["too_late"] += 1
            self._clean(id)

    def _growth(self) -> Counter[str]:
        now = self.arena.holdings()
        return Counter({kind: len(ids - self._before.get(kind, set())) for kind, ids in now.items()})

    def _expect(self, *, nothing: bool, context: str = "") -> None:
        """The project holds what an undisturbed run leaves, or `nothing` new; and what was there is there."""
        grown = +self._growth()
        leaked = grown - (Counter() if nothing else self._grown)
        self.figures["leaked"] += sum(leaked.values())
        assert not leaked, f"left behind: {dict(leaked)}; {context}"
        assert nothing or grown == +self._grown, f"{grown} instead of {self._grown}; {context}"
        now = self.arena.holdings()
        gone = {kind: ids - now.get(kind, set()) for kind, ids in self._before.items()}
        assert not any(gone.values()), f"gone: {gone}; {context}"

    def _check(self, ended: Ended) -> None:
        """What came out is whole and equal to the byte."""
        raise NotImplementedError

    def _clean(self, id: str) -> None:
        """Take back an operation that has ended well."""
        raise NotImplementedError


class ProtectRounds(Rounds):
    """Each protects the living application."""

    verb = "protect"

    def __init__(self, arena: Arena) -> None:
        super().__init__(arena, PROTECT)

    def _check(self, ended: Ended) -> None:
        checkpoint = ended.document["checkpoint"]
        assert checkpoint["status"] == "available"
        assert {item["status"] for item in checkpoint["resources"]} == {"available"}
        for saved in self.arena.saved(checkpoint["id"]):
            if "backup_id" in saved.saved:
                assert self.arena.digest(saved.saved["backup_id"]) == self.arena.digest(saved.ref.id), saved.name
        verification = self.arena.engine.start("verify", self.arena.cloud, checkpoint["id"])
        assert self.arena.engine.run(verification, self.arena.cloud)["status"] == "success"

    def _clean(self, id: str) -> None:
        checkpoint = operations.get(self.arena.database, id)["checkpoint_id"]
        deletion = self.arena.engine.start("delete", self.arena.cloud, checkpoint)
        assert self.arena.engine.run(deletion, self.arena.cloud)["status"] == "deleted"


class RestoreRounds(Rounds):
    """Each brings the lost application back."""

    verb = "restore"

    def __init__(self, arena: Arena) -> None:
        self._app = arena.app
        self._picture = describe(arena.cloud, self._app)
        self._bytes = arena.digests(self._app)
        checkpoint = arena.run(*PROTECT).document["checkpoint"]["id"]
        destroy(arena.cloud, self._app)
        super().__init__(arena, ("restore", checkpoint))

    def _check(self, ended: Ended) -> None:
        restore = ended.document["restore"]
        assert restore["status"] == "success"
        mapping = mapping_of(restore)
        again = self._app.became(mapping)
        rows = compare(self._picture, describe(self.arena.cloud, again), mapping)
        different = [row for row in rows if row.outcome == DIFFERENT]
        assert not different, different
        now = self.arena.digests(again)
        assert now == {**self._bytes, f"{OWN_DISK}web": self._bytes["web"]}

    def _clean(self, id: str) -> None:
        assert self.arena.engine.roll_back(id, self.arena.cloud)["phase"] == "ended"


def summary(seed: int, seconds: float, *rounds: Rounds) -> dict[str, Any]:
    """What a run of all rounds comes to."""
    return {
        "seed": seed,
        **{
            each.verb: {name: each.figures[name] for name in ("kills", "resumed", "rolled_back", "too_late")}
            for each in rounds
        },
        "made_twice": sum(each.figures["made_twice"] for each in rounds),
        "leaked": sum(each.figures["leaked"] for each in rounds),
        "seconds": round(seconds, 1),
    }
