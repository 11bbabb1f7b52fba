"""The limits that a project starts with: so generous that only who sets his own runs into them. -1 is no limit."""

from __future__ import annotations

DEFAULT_QUOTAS: dict[str, dict[str, int]] = {
    "volume": {
        "volumes": 100_000,
        "snapshots": 100_000,
        "gigabytes": -1,
        "backups": 100_000,
        "backup_gigabytes": -1,
        "per_volume_gigabytes": -1,
        "groups": 100,
    },
    "compute": {
        "instances": 100_000,
        "cores": 1_000_000,
        "ram": 1_000_000_000,
        "key_pairs": 10_000,
        "server_groups": 10_000,
        "server_group_members": 1_000,
        "metadata_items": 128,
    },
    "network": {
        "network": 100_000,
        "subnet": 100_000,
        "port": 1_000_000,
        "router": 100_000,
        "floatingip": 100_000,
        "security_group": 100_000,
        "security_group_rule": 1_000_000,
        "subnetpool": 1_000,
        "rbac_policy": 1_000,
    },
    "image": {},
}
