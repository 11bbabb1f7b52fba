"""Times the engine alone: protect, restore and delete of N resources whose plug-in has all four hooks and keeps a fact.

    python benchmarks/engine.py --resources 1000 --format json

Journal (SQLite) and bank (file system) are real, in a temporary folder; the cloud is one in memory that no hook asks.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from karbor import clock
from karbor.banks.archive import Archive
from karbor.banks.fs import FileSystemBank
from karbor.engine.worker import Engine
from karbor.model.resource import Ref, Resource, ResourceGraph
from karbor.plugins.base import Operation, ProtectionPlugin
from karbor.providers import Provider
from karbor.store.database import open_state
from karbor.testing.toy import TOY, ToyCloud


@dataclass(frozen=True)
class Facts:
    fact: str = ""


class Hooks(Operation):
    Saved = Facts

    def on_prepare_begin(self, ctx: Any) -> None:
        pass

    def on_prepare_finish(self, ctx: Any) -> None:
        pass

    def on_main(self, ctx: Any) -> None:
        pass

    def on_complete(self, ctx: Any) -> None:
        ctx.keep(fact=ctx.resource.id)


class Plugin(ProtectionPlugin):
    name = "hooks"
    types = frozenset({TOY.type})
    protect = restore = verify = delete = Hooks


def application(count: int) -> ResourceGraph:
    """Servers with two volumes each, all on one image and one network, under one project."""
    graph = ResourceGraph()
    refs = [Ref(TOY.type, f"resource-{number}") for number in range(count)]
    for ref in refs:
        graph.add(Resource(ref, ref.id))
    project, image, network, *rest = refs
    graph.named.add(project)
    for server, *volumes in (rest[start : start + 3] for start in range(0, len(rest), 3)):
        graph.link(project, [server])
        graph.link(server, [*volumes, image, network])
    return graph


def measure(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        provider = Provider(clock.new_id(), "hooks", "", Archive(FileSystemBank(state / "bank")), {TOY.type: Plugin})
        engine = Engine(open_state(state), {provider.id: provider})
        cloud: Any = ToyCloud()
        graph = application(count)

        def timed(start: Any) -> tuple[float, Any]:
            began = clock.monotonic()
            row = engine.run(start(), cloud)
            return clock.monotonic() - began, row

        protect, row = timed(lambda: engine.start_protect(cloud, provider, graph))
        checkpoint = row["checkpoint_id"]
        restore, restored = timed(lambda: engine.start_restore(cloud, checkpoint))
        delete, deleted = timed(lambda: engine.start("delete", cloud, checkpoint))
        assert [row["status"], restored["status"], deleted["status"]] == ["available", "success", "deleted"]
    return {
        "resources": count,
        "protect_s": round(protect, 3),
        "restore_s": round(restore, 3),
        "delete_s": round(delete, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", type=int, default=1000, metavar="N")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    figures = measure(arguments.resources)
    if arguments.format == "json":
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
