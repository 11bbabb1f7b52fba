"""Times the API: how many requests it answers a second, and how soon it takes in a plan of N resources.

    python benchmarks/api.py --resources 1000 --clients 8 --seconds 5 --format json

`karbor-api` runs in a process of its own, once on SQLite and once on a MariaDB server that is started for it; tokens
are those of a sandbox's Keystone, in another process. No engine runs, so what comes in stays in its rows. Clients,
API, Keystone and database share this machine's processors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from load.clients import Client, rate
from load.service import VOLUME, api, fill
from rich.console import Console
from rich.table import Table

from karbor import clock
from karbor.cloud.connection import Cloud
from karbor.demo.sandbox_process import sandbox
from karbor.providers import NOOP
from karbor.testing import databases

CHECKPOINTS = 1000
"""In the database, and in one page of the list."""
PATH = f"/providers/{NOOP}/checkpoints"


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of empty databases, by what they are."""
    found = {"SQLite": f"sqlite:///{folder}/karbor.db"}
    if missing := databases.SORTS["mariadb"].missing():
        Console(stderr=True).print(f"SQLite only: this machine has no {' and no '.join(missing)}")
        yield found
        return
    with databases.mariadb() as server:
        yield {**found, "MariaDB": databases.make_database(server, "karbor")}


def plan(client: Client, count: int) -> bytes:
    """The body that has a new plan of so many volumes protected."""
    resources = [{"type": VOLUME, "id": clock.new_id(), "name": f"volume-{number}"} for number in range(count)]
    body = {"name": f"{count} volumes", "provider_id": NOOP, "resources": resources, "parameters": {}}
    return json.dumps({"checkpoint": {"plan_id": client.post("/plans", {"plan": body})["plan"]["id"]}}).encode()


def measure(url: str, database: str, member: Cloud, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of an API that has just been started."""
    token = str(member._session.get_token())
    clients = [Client(url, member.project_id, token) for _ in range(arguments.clients)]
    one = fill(database, member.project_id, CHECKPOINTS)
    client, seconds = clients[0], arguments.seconds
    small, large = (plan(client, count) for count in (4, arguments.resources))
    assert len(json.loads(client.ask("GET", f"{PATH}?limit={CHECKPOINTS}"))["checkpoints"]) == CHECKPOINTS
    shows = rate(clients, seconds, "GET", f"{PATH}/{one}")
    lists = rate(clients, seconds, "GET", f"{PATH}?limit={CHECKPOINTS}")
    times = sorted(1000 * client.timed("POST", PATH, large) for _ in range(arguments.posts))
    return {
        "show_per_s": round(shows, 1),
        "list_1000_per_s": round(lists, 1),
        "create_per_s": round(rate(clients, seconds, "POST", PATH, small), 1),
        "large_create_median_ms": round(median(times), 1),
        "large_create_p95_ms": round(quantiles(times, n=20)[-1], 1),
        "large_create_max_ms": round(times[-1], 1),
    }


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {name: getattr(arguments, name) for name in ("resources", "clients", "seconds", "posts")}
    with tempfile.TemporaryDirectory() as name, sandbox(Path(name)), servers(Path(name)) as addresses:
        member = Cloud.connect("sandbox", state=Path(name))
        for database, address in addresses.items():
            with api(Path(name), address) as url:
                figures[database] = measure(url, address, member, arguments)
    return figures


def table(figures: dict[str, Any]) -> Table:
    """The figures for people: a row for each, a column for each database."""
    found = {name: values for name, values in figures.items() if isinstance(values, dict)}
    shown = Table("", *found)
    for row in next(iter(found.values())):
        shown.add_row(row, *(str(values[row]) for values in found.values()))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", type=int, default=1000, metavar="N", help="of the large plan")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="that ask at once")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="for which they do")
    parser.add_argument("--posts", type=int, default=50, metavar="N", help="of the large plan, one after the other")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    figures = benchmark(arguments)
    if arguments.format == "json":
        print(json.dumps(figures))
    else:
        Console().print(table(figures))


if __name__ == "__main__":
    main()
