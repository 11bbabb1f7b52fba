"""What a project may still make: the quotas of the three services under one set of names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from karbor.model.errors import Gone, NotFound, Refused

if TYPE_CHECKING:
    from karbor.cloud.connection import Cloud

VOLUME_LIMITS = {
    "volumes": ("maxTotalVolumes", "totalVolumesUsed"),
    "gigabytes": ("maxTotalVolumeGigabytes", "totalGigabytesUsed"),
    "snapshots": ("maxTotalSnapshots", "totalSnapshotsUsed"),
    "backups": ("maxTotalBackups", "totalBackupsUsed"),
    "backup_gigabytes": ("maxTotalBackupGigabytes", "totalBackupGigabytesUsed"),
}
COMPUTE_LIMITS = {
    "instances": ("maxTotalInstances", "totalInstancesUsed"),
    "cores": ("maxTotalCores", "totalCoresUsed"),
    "ram": ("maxTotalRAMSize", "totalRAMUsed"),
    "server_groups": ("maxServerGroups", "totalServerGroupsUsed"),
}
NETWORK_LIMITS = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "floating_ips": "floatingip",
    "security_groups": "security_group",
    "security_group_rules": "security_group_rule",
}


def quota_left(cloud: Cloud) -> dict[str, int | None]:
    """What is left of each quota; None where there is no limit or the cloud does not show it. Raises Unclear.

    A service that the cloud does not offer has none.
    """
    found: dict[str, int | None] = {}
    for left_of in (_left_of_volumes, _left_of_servers, _left_of_networks):
        with suppress(NotFound):
            found |= left_of(cloud)
    return found


def _left_of_volumes(cloud: Cloud) -> dict[str, int | None]:
    limits = cloud.get("volume", "/limits")["limits"]["absolute"]
    return {name: _left(limits, *keys) for name, keys in VOLUME_LIMITS.items()}


def _left_of_servers(cloud: Cloud) -> dict[str, int | None]:
    limits = cloud.get("compute", "/limits")["limits"]["absolute"]
    left = {name: _left(limits, *keys) for name, keys in COMPUTE_LIMITS.items()}
    # Nova counts key pairs for a user and not for a project, and does not say how many there are.
    used = len(list(cloud.pages("compute", "/os-keypairs", "keypairs")))
    return {**left, "key_pairs": _left({**limits, "used": used}, "maxTotalKeypairs", "used")}


def _left_of_networks(cloud: Cloud) -> dict[str, int | None]:
    try:
        quota = cloud.get("network", f"/quotas/{cloud.project_id}/details.json")["quota"]
    except (Gone, Refused):  # the extension quota_details is not there
        return dict.fromkeys(NETWORK_LIMITS)
    return {name: _left(quota.get(key, {}), "limit", "used", "reserved") for name, key in NETWORK_LIMITS.items()}


def _left(numbers: Mapping[str, Any], limit: str, *taken: str) -> int | None:
    """`limit` less what is taken; never below 0."""
    most = int(numbers.get(limit, -1))
    return None if most < 0 else max(0, most - sum(int(numbers.get(key) or 0) for key in taken))
