"""Times protect and restore of one server that boots from one of its two 1 GiB volumes, on a cloud without delays.

    python benchmarks/latency.py --runs 5 --format json

The sandbox is a process of its own and each operation a real command. The figures are an operation's own time, from
its `started_at` to its `ended_at`, so that they show what the engine waits for and not how long Python takes to start.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK, SUBNET
from karbor.cloud.servers import SERVER
from karbor.demo import application, disks, waits
from karbor.demo.sandbox_process import sandbox

DATA = 1 << 20
"""Bytes of random data in each volume; the rest of its GiB is a hole."""


def volume(cloud: Cloud, name: str) -> str:
    """A volume of 1 GiB that begins with random bytes and can be booted from."""
    with disks.random_image(cloud, name, DATA) as image:
        id = VOLUME.post(cloud, {"name": name, "size": 1, "imageRef": image})
        waits.ready(cloud, VOLUME, id)
    return id


def build(cloud: Cloud) -> dict[str, Any]:
    """The server with its volumes, by what they are; the network stays when they are lost."""
    network = NETWORK.post(cloud, {"name": "net"})
    SUBNET.post(cloud, {"network_id": network, "ip_version": 4, "cidr": "10.40.0.0/24", "name": "net-v4"})
    boot, data = (volume(cloud, name) for name in ("root", "data"))
    VOLUME.set_bootable(cloud, id=data, bootable=False)
    device = {"source_type": "volume", "destination_type": "volume", "delete_on_termination": False}
    body = {
        "name": "server", "flavorRef": application.ground(cloud).flavor_id, "networks": [{"uuid": network}],
        "block_device_mapping_v2": [
            {**device, "uuid": boot, "boot_index": 0}, {**device, "uuid": data, "boot_index": -1},
        ],
    }  # fmt: skip
    server = SERVER.post(cloud, body)
    waits.ready(cloud, SERVER, server)
    return {"server": server, "volumes": [boot, data]}


def karbor(folder: Path, *words: str) -> tuple[int, Any, str]:
    """Run a command on the state folder: its exit status, its document, its messages."""
    command = (sys.executable, "-P", "-m", "karbor", "--state", str(folder), "--format", "json", *words)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended.returncode, json.loads(ended.stdout or "null"), ended.stderr


def run(folder: Path, noun: str, *words: str) -> dict[str, Any]:
    """Run a command, which has to go well; the document of its subject."""
    status, document, messages = karbor(folder, *words, "--cloud", "sandbox")
    if status or document[noun]["status"] not in ("available", "success"):
        raise SystemExit(f"karbor {' '.join(words)}: exit status {status}\n{messages}")
    found: dict[str, Any] = document[noun]
    return found


def seconds(folder: Path, id: str) -> float:
    """How long an operation took by its own record."""
    _, document, _ = karbor(folder, "operation", "show", id)
    began, ended = (datetime.fromisoformat(document["operation_log"][name]) for name in ("started_at", "ended_at"))
    return (ended - began).total_seconds()


def measure(runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, sandbox(Path(name)):
        folder = Path(name)
        cloud = Cloud.connect("sandbox", state=folder)
        made = build(cloud)
        protects, restores = [], []
        for _ in range(runs):
            checkpoint = run(folder, "checkpoint", "protect", "server/server")
            protects.append(seconds(folder, checkpoint["operation_id"]))
        waits.removed(cloud, SERVER, [made["server"]])
        waits.removed(cloud, VOLUME, made["volumes"])
        for _ in range(runs):
            restore = run(folder, "restore", "restore", checkpoint["id"])
            restores.append(seconds(folder, restore["id"]))
            karbor(folder, "operation", "rollback", restore["id"])
    return {
        "runs": runs,
        "protect_s": round(median(protects), 3),
        "restore_s": round(median(restores), 3),
        "slowest_protect_s": round(max(protects), 3),
        "slowest_restore_s": round(max(restores), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    figures = measure(arguments.runs)
    if arguments.format == "json":
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
