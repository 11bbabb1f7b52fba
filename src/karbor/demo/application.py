"""The application of the demo: a web server and a database server with everything that they stand on."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.kind import Kind
from karbor.cloud.networks import (
    FLOATING_IP,
    NETWORK,
    PORT,
    ROUTER,
    ROUTER_INTERFACE,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
)
from karbor.cloud.rest import RestKind
from karbor.cloud.servers import FLAVOR, KEYPAIR, SERVER, SERVER_GROUP
from karbor.demo import disks, waits
from karbor.model.errors import NotFound

OWN_DISK = "own disk of "
"""How the role begins of the image that a restored server's own disk has become."""


class Thing(NamedTuple):
    """One object of the application."""

    kind: Kind
    id: str


@dataclass
class Application:
    """What was built, by its role in the application, in the order in which it was built."""

    things: dict[str, Thing] = field(default_factory=dict)

    def __getitem__(self, role: str) -> str:
        """The id of what plays this role."""
        return self.things[role].id

    def add(self, role: str, kind: Kind, id: str) -> str:
        """Note what was just asked for, so that also a half-built application can be destroyed; its id."""
        self.things[role] = Thing(kind, id)
        return id

    def of(self, kind: Kind) -> dict[str, str]:
        """The ids of all things of a kind, by role."""
        return {role: thing.id for role, thing in self.things.items() if thing.kind is kind}

    def became(self, mapping: Mapping[str, str]) -> Application:
        """The restored application: `mapping` gives the new id for an old one; what has none is left out.

        The images of own disks, whose old id is `<server id>/disk`, come in addition.
        """
        things = {
            role: thing._replace(id=mapping[thing.id]) for role, thing in self.things.items() if thing.id in mapping
        }
        own = {
            OWN_DISK + role: Thing(IMAGE, mapping[f"{id}/disk"])
            for role, id in self.of(SERVER).items()
            if f"{id}/disk" in mapping
        }
        return Application(things | own)


class Ground(NamedTuple):
    """What an operator provides and the application stands on."""

    flavor_id: str
    external_network_id: str
    zone: str
    image_format: str = "raw"


def ground(cloud: Cloud, *, flavor: str = "", network: str = "", zone: str = "") -> Ground:
    """What is named, or the smallest flavor with a disk, any external network and any zone. Raises NotFound."""
    flavors = [each for each in FLAVOR.list(cloud) if each["disk"] and flavor in ("", each["name"])]
    found = cloud.pages("network", "/networks", "networks", params={"router:external": True})
    networks = [each for each in found if each["router:external"] and network in ("", each["name"])]
    known = cloud.get("compute", "/os-availability-zone")["availabilityZoneInfo"]
    zones = [each["zoneName"] for each in known if each["zoneState"]["available"] and zone in ("", each["zoneName"])]
    for what, name, those in (
        ("flavor with a disk", flavor, flavors),
        ("external network", network, networks),
        ("availability zone", zone, zones),
    ):
        if not those:
            raise NotFound(
                f"cloud {cloud.name!r} offers no {what} {name}".rstrip() + "; the demo cannot be built there"
            )
    smallest = min(flavors, key=lambda each: (each["ram"], each["disk"]))
    return Ground(str(smallest["id"]), str(networks[0]["id"]), str(zones[0]))


def build(
    cloud: Cloud, on: Ground, prefix: str = "", size: int = 4 << 20, app: Application | None = None
) -> Application:
    """Build the application; every image and volume begins with `size` random bytes of its own.

    Names begin with `prefix`. `app` is filled as things are made, so that its holder can destroy what a failure left.
    """
    site = _Site(cloud, on, prefix, Application() if app is None else app)
    _build_surroundings(site)
    _build_networks(site)
    _build_ports(site)
    _build_disks(site, size)
    _build_servers(site)
    return site.app


class _Site(NamedTuple):
    cloud: Cloud
    ground: Ground
    prefix: str
    app: Application

    def make(self, kind: RestKind, name: str, *, role: str = "", tags: tuple[str, ...] = (), **body: Any) -> str:
        """Make something with this name, which is also its role unless another is given; its id."""
        id = self.app.add(role or name, kind, kind.post(self.cloud, {"name": self.prefix + name, **body}))
        if tags:
            self.cloud.put(kind.service, f"{kind.at(id)}/tags", {"tags": list(tags)})
        return id


def public_key() -> str:
    """An Ed25519 key as OpenSSH writes it (RFC 8709); nobody has its private half."""
    parts = (b"ssh-ed25519", hashlib.sha256(b"the demo's key").digest())
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} demo"


def _build_surroundings(site: _Site) -> None:
    """Key pair, server group, and two security groups whose rules name each other."""
    cloud, app = site.cloud, site.app
    key = {"name": f"{site.prefix}key", "public_key": public_key(), "type": "ssh"}
    app.add("key", KEYPAIR, KEYPAIR.create(cloud, key, ""))
    site.make(SERVER_GROUP, "apart", policy="soft-anti-affinity")
    web = site.make(SECURITY_GROUP, "web", role="group web", description="From the world", tags=("tier:web",))
    db = site.make(SECURITY_GROUP, "db", role="group db", description="From the web servers only")
    tcp = {"direction": "ingress", "ethertype": "IPv4", "protocol": "tcp"}
    for rule in (
        {**tcp, "security_group_id": web, "port_range_min": 443, "port_range_max": 443, "description": "HTTPS"},
        {**tcp, "security_group_id": web, "port_range_min": 9100, "port_range_max": 9100, "remote_group_id": db},
        {**tcp, "security_group_id": db, "port_range_min": 5432, "port_range_max": 5432, "remote_group_id": web},
        {"security_group_id": db, "direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": "fd00:db::/64"},
        {"security_group_id": db, "direction": "ingress", "ethertype": "IPv4", "protocol": "icmp"},
        {"security_group_id": web, "direction": "ingress", "ethertype": "IPv4", "remote_ip_prefix": "10.20.0.0/16"},
    ):
        SECURITY_GROUP_RULE.post(cloud, rule)


def _build_networks(site: _Site) -> None:
    """A network that a router leads out of, with IPv4 and IPv6, and one that nothing leads out of."""
    cloud = site.cloud
    front = site.make(NETWORK, "front", description="Where the world comes in", tags=("tier:web", "routed"))
    front_4 = site.make(
        SUBNET, "front-v4", network_id=front, ip_version=4, cidr="10.20.0.0/24", gateway_ip="10.20.0.1",
        allocation_pools=[
            {"start": "10.20.0.100", "end": "10.20.0.150"}, {"start": "10.20.0.200", "end": "10.20.0.220"},
        ],
        dns_nameservers=["192.0.2.53", "192.0.2.1"], description="Two pools", tags=("v4",),
        host_routes=[{"destination": "198.51.100.0/24", "nexthop": "10.20.0.9"}],
    )  # fmt: skip
    front_6 = site.make(
        SUBNET, "front-v6", network_id=front, ip_version=6, cidr="fd00:20::/64", ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )  # fmt: skip
    back = site.make(NETWORK, "back", port_security_enabled=True)
    site.make(SUBNET, "back-v4", network_id=back, ip_version=4, cidr="10.30.0.0/24", gateway_ip=None, enable_dhcp=False)
    gateway = {"network_id": site.ground.external_network_id}
    router = site.make(ROUTER, "router", description="To the world", external_gateway_info=gateway, tags=("edge",))
    for name, subnet, address in (("way-out", front_4, "10.20.0.1"), ("way-out-v6", front_6, "fd00:20::1")):
        interface = site.make(
            ROUTER_INTERFACE, name, network_id=front, security_groups=[], device_owner="network:router_interface",
            fixed_ips=[{"subnet_id": subnet, "ip_address": address}],
        )  # fmt: skip
        ROUTER.add_interface(cloud, id=router, port_id=interface)
    ROUTER.add_routes(cloud, id=router, routes=[{"destination": "203.0.113.0/24", "nexthop": "10.20.0.9"}])


def _build_ports(site: _Site) -> None:
    """The web server's two ports, the database's one, and the floating IP that leads to the first."""
    app = site.app
    web = site.make(
        PORT, "web-front", network_id=app["front"], security_groups=[app["group web"]], description="The way in",
        fixed_ips=[{"subnet_id": app["front-v4"], "ip_address": "10.20.0.20"}], mac_address="fa:16:3e:20:00:20",
        allowed_address_pairs=[{"ip_address": "10.20.0.99"}], tags=("vip",),
        extra_dhcp_opts=[{"opt_name": "domain-name", "opt_value": "example.test", "ip_version": 4}],
    )  # fmt: skip
    for name, group, address in (("web-back", "group web", "10.30.0.20"), ("db-back", "group db", "10.30.0.30")):
        fixed_ips = [{"subnet_id": app["back-v4"], "ip_address": address}]
        site.make(PORT, name, network_id=app["back"], security_groups=[app[group]], fixed_ips=fixed_ips)
    floating = {"floating_network_id": site.ground.external_network_id, "port_id": web, "description": "The web site's"}
    app.add("address", FLOATING_IP, FLOATING_IP.post(site.cloud, floating))


def _build_disks(site: _Site, size: int) -> None:
    """The image, the boot volume made from it, and three data volumes; their bytes go in as images' data do."""
    cloud, app = site.cloud, site.app
    body = {
        "name": f"{site.prefix}base", "disk_format": site.ground.image_format, "container_format": "bare",
        "visibility": "private", "min_disk": 1, "tags": ["golden", "v7"], "os_distro": "demo", "hw_disk_bus": "virtio",
    }  # fmt: skip
    image = app.add("base", IMAGE, disks.queue_image(cloud, body))
    disks.fill(cloud, image, size)
    site.make(VOLUME, "db-root", size=1, imageRef=image, metadata={"tier": "db"})
    for name, facts in (
        ("web-data", {"description": "Uploads", "metadata": {"tier": "web", "backup": "nightly"}}),
        ("db-data", {"description": "Tables", "metadata": {"tier": "db", "fs": "xfs"}}),
        ("db-log", {"description": "Write-ahead log"}),
    ):
        with disks.random_image(cloud, site.prefix + name, size) as source:
            id = site.make(VOLUME, name, size=1, imageRef=source, **facts)
            waits.ready(cloud, VOLUME, id)
        disks.forget_image(cloud, id)
    waits.ready(cloud, VOLUME, app["db-root"])


def _build_servers(site: _Site) -> None:
    """The web server on its own disk, the database on its boot volume, which is locked; then both are running."""
    cloud, app = site.cloud, site.app
    common = {
        "flavorRef": site.ground.flavor_id, "key_name": f"{site.prefix}key", "availability_zone": site.ground.zone,
    }  # fmt: skip
    hints = {"os:scheduler_hints": {"group": app["apart"]}}
    volume = {"source_type": "volume", "destination_type": "volume", "boot_index": -1, "delete_on_termination": False}
    own = {"uuid": app["base"], "source_type": "image", "destination_type": "local", "boot_index": 0}
    web = {
        **common, "name": f"{site.prefix}web", "description": "The web server", "hostname": "www", "config_drive": True,
        "metadata": {"role": "web", "owner": "shop"}, "tags": ["tier:web", "prod"], "imageRef": app["base"],
        "networks": [{"port": app["web-front"], "tag": "front"}, {"port": app["web-back"], "tag": "back"}],
        "block_device_mapping_v2": [
            {**own, "delete_on_termination": True}, {**volume, "uuid": app["web-data"], "tag": "uploads"},
        ],
    }  # fmt: skip
    db = {
        **common, "name": f"{site.prefix}db", "description": "The database", "metadata": {"role": "db"},
        "tags": ["tier:db", "prod"], "networks": [{"port": app["db-back"]}],
        "block_device_mapping_v2": [
            {**volume, "uuid": app["db-root"], "boot_index": 0}, {**volume, "uuid": app["db-data"], "tag": "tables"},
            {**volume, "uuid": app["db-log"], "delete_on_termination": True},
        ],
    }  # fmt: skip
    for role, body in (("web", web), ("db", db)):
        app.add(role, SERVER, str(cloud.post("compute", SERVER.path, {"server": body, **hints})["server"]["id"]))
    for role in ("web", "db"):
        waits.ready(cloud, SERVER, app[role])
    SERVER.lock(cloud, id=app["db"], reason="holds the orders")
