"""Restores an application with Karbor and, in turn, has Heat make the same resources from the same backups.

    python benchmarks/restore_vs_heat.py --cloud NAME --servers 4 --pairs 5 --format json

NAME is a cloud of clouds.yaml whose user is a member of one project that may have stacks. Servers are built there, each
on a boot and a data volume of 1 GiB, with a port and a floating IP, on one network behind one router; no server boots
from an image, so none is uploaded. They are protected once and deleted. In each pair they are then restored, and made
as a stack, each from nothing; every other pair in the other order. All that was made is removed, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from versus.restores import Restores
from versus.shop import Shop, build, found
from versus.stacks import SERVICE, Stacks, template_of
from versus.timed import Timed

from karbor import clock
from karbor.cloud.blockstorage import BACKUP
from karbor.cloud.connection import Cloud
from karbor.demo.application import ground
from karbor.demo.destroy import destroy, holdings
from karbor.model.errors import KarborError


def measure(cloud: Cloud, folder: Path, servers: int, pairs: int, zone: str) -> dict[str, Any]:
    """All pairs of one run, and what they come to. Raises KarborError."""
    shop = Shop(f"versus-{clock.new_id()[:6]}-", servers, ground(cloud, zone=zone))
    restores, stacks = Restores(cloud, folder), Stacks(cloud, shop)
    runs: dict[str, list[Timed]] = {"karbor": [], "stack": []}
    with leaving_nothing(cloud, shop, restores, stacks):
        tell("building")
        ids, volumes = build(cloud, shop)
        tell("protecting")
        checkpoint = restores.protect(ids)
        backups = {obj["volume_id"]: str(obj["id"]) for obj in BACKUP.list(cloud)}
        template = template_of(shop, {name: backups[id] for name, id in volumes.items()})
        destroy(cloud, found(cloud, shop.prefix))
        sides: list[tuple[str, Callable[[], Timed]]] = [
            ("karbor", lambda: restores.run(checkpoint)), ("stack", lambda: stacks.run(template)),
        ]  # fmt: skip
        for pair in range(pairs):
            for side, run in sides if pair % 2 == 0 else reversed(sides):
                runs[side].append(timed := run())
                tell(f"pair {pair + 1} of {pairs}: {side} {timed.own:.1f} s")
    return {"servers": servers, "volumes": len(volumes), "zone": zone, "pairs": pairs, **figures(runs)}


@contextmanager
def leaving_nothing(cloud: Cloud, shop: Shop, restores: Restores, stacks: Stacks) -> Iterator[None]:
    """Remove all of this run, however it ends. Raises KarborError where something stays."""
    before = held(cloud).keys()

    def check() -> None:
        left = [words for id, words in held(cloud).items() if id not in before]
        if left:
            raise KarborError(f"cloud {cloud.name!r} still has {', '.join(left)}; remove them by hand")

    def begin() -> None:
        tell("removing everything")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the removal is what whoever stops it wants

    with ExitStack() as at_the_end:  # the last one first, and each whatever becomes of the others
        at_the_end.callback(check)
        at_the_end.callback(restores.forget)
        at_the_end.callback(lambda: destroy(cloud, found(cloud, shop.prefix)))
        at_the_end.callback(restores.take_back)
        at_the_end.callback(stacks.leave)
        at_the_end.callback(begin)
        yield


def held(cloud: Cloud) -> dict[str, str]:
    """What the project has, backups too: a few words for each id."""
    return holdings(cloud) | {str(obj["id"]): f"backup {obj['id']}" for obj in BACKUP.list(cloud)}


def figures(runs: dict[str, list[Timed]]) -> dict[str, Any]:
    """Medians over the pairs; a ratio is Karbor's seconds over the stack's of one pair."""
    both = list(zip(runs["karbor"], runs["stack"], strict=True))
    own = [restored.own / stacked.own for restored, stacked in both]
    wall = [restored.wall / stacked.wall for restored, stacked in both]
    return {
        "ratio": round(median(own), 3),
        "ratios": [round(each, 3) for each in own],
        "ratio_wall": round(median(wall), 3),
        **{
            name: {
                "own_s": round(median(timed.own for timed in side), 2),
                "wall_s": round(median(timed.wall for timed in side), 2),
                "runs_own_s": [round(timed.own, 2) for timed in side],
                "runs_wall_s": [round(timed.wall, 2) for timed in side],
                "work": work(side),
            }
            for name, side in runs.items()
        },
    }


def work(side: Iterable[Timed]) -> dict[str, dict[str, float]]:
    """Where the time goes: of each sort of work how often a run has it, and medians over the runs of its first begin,
    its last end and its typical length, in seconds."""
    seen: dict[str, list[tuple[int, float, float, float]]] = defaultdict(list)
    for timed in side:
        sorts = defaultdict(list)
        for span in timed.spans:
            sorts[span.what].append(span)
        for what, spans in sorts.items():
            lengths = [span.end - span.begin for span in spans]
            ends = min(span.begin for span in spans), max(span.end for span in spans)
            seen[what].append((len(spans), *ends, median(lengths)))
    words = ("times", "from_s", "to_s", "each_s")
    found = {
        what: {word: round(median(numbers), 2) for word, numbers in zip(words, zip(*each, strict=True), strict=True)}
        for what, each in seen.items()
    }
    return dict(sorted(found.items(), key=lambda item: (item[1]["from_s"], item[1]["to_s"])))


def table(found: dict[str, Any]) -> Iterator[str]:
    """The figures for a person."""
    yield f"{found['servers']} servers, {found['volumes']} volumes, zone {found['zone']}, {found['pairs']} pairs"
    singles = ", ".join(map(str, found["ratios"]))
    yield f"ratio {found['ratio']} (single pairs: {singles}); by the clock on the wall {found['ratio_wall']}"
    for name in ("karbor", "stack"):
        side = found[name]
        yield f"\n{name}: {side['own_s']} s by its own record, {side['wall_s']} s by the clock on the wall"
        yield f"  {'work':34} {'times':>6} {'from, s':>9} {'to, s':>9} {'each, s':>9}"
        for what, row in side["work"].items():
            yield f"  {what:34} {row['times']:6} {row['from_s']:9.2f} {row['to_s']:9.2f} {row['each_s']:9.2f}"


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def stop(number: int, _frame: object) -> None:
    """A SIGTERM ends it as Ctrl-C does."""
    raise SystemExit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cloud", default=os.environ.get("OS_CLOUD"), metavar="NAME", help="default: OS_CLOUD")
    parser.add_argument("--servers", type=int, default=4, metavar="N")
    parser.add_argument("--pairs", type=int, default=5, metavar="N")
    parser.add_argument("--zone", default="", help="where the servers are; default: any")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="an empty folder for Karbor; default: a temporary one"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    if not arguments.cloud:
        parser.error("name a cloud with --cloud or OS_CLOUD")
    if min(arguments.servers, arguments.pairs) < 1:
        parser.error("at least one server and one pair are needed")
    if arguments.state and arguments.state.exists() and any(arguments.state.iterdir()):
        parser.error(f"{arguments.state} is not empty, and all that it knows would be taken back")
    signal.signal(signal.SIGTERM, stop)
    try:
        cloud = Cloud.connect(arguments.cloud)
        if not cloud.has(SERVICE):
            raise KarborError(f"cloud {cloud.name!r} has no {SERVICE} service, so there is nothing to compare with")
        with tempfile.TemporaryDirectory() as name:
            found = measure(cloud, arguments.state or Path(name), arguments.servers, arguments.pairs, arguments.zone)
    except KarborError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    print(json.dumps(found) if arguments.format == "json" else "\n".join(table(found)))


if __name__ == "__main__":
    main()
