"""Brings a server back on its restored volumes, networks and groups, and into the state in which it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.connection import Cloud
from karbor.cloud.networks import FLOATING_IP, PORT
from karbor.cloud.servers import SERVER
from karbor.model.errors import KarborError
from karbor.model.resource import Ref
from karbor.plugins.base import Context, Operation
from karbor.plugins.options import option
from karbor.plugins.server import target
from karbor.plugins.server.bodies import server_body
from karbor.plugins.server.disk import restore_disk, whole_disk
from karbor.plugins.server.facts import Facts, ServerFacts
from karbor.plugins.server.floating_ips import restore_floating_ips
from karbor.plugins.server.ports import restore_ports


@dataclass(frozen=True)
class RestoreOptions:
    """Options for restoring a server."""

    restore_name: str | None = option(
        None, title="Name", description="Name of the restored server; without it, the saved name"
    )
    restore_net_id: str | None = option(
        None,
        title="Network",
        description="Id of a network that all its ports go to, with new addresses; the saved networks and routers are "
        "restored all the same. Without it, the saved networks",
    )
    restore_flavor_id: str | None = option(
        None, title="Flavor", description="Id of the flavor to use; without it, the saved flavor"
    )
    public_network_id: str | None = option(
        None,
        title="External network",
        description="Id of the external network that its floating IPs are of; without it, the saved network",
    )


AS_SAVED = (
    "description", "metadata", "tags", "config_drive", "user_data", "volumes", "status", "locked",
)  # fmt: skip
"""What a restored server has exactly as the saved one had it."""


class RestoreServer(Operation):
    """The own disk's image, the ports and their floating IPs while others work; the server when all is there.

    Neutron takes its time for ports and floating IPs; made beside the volumes' long work they hold up nothing.
    """

    Options = RestoreOptions
    Saved = ServerFacts

    def on_main(self, ctx: Context) -> None:
        if ctx.saved.image:
            restore_disk(ctx, _name(ctx))
        restore_floating_ips(ctx, restore_ports(ctx))

    def on_complete(self, ctx: Context) -> None:
        saved: ServerFacts = ctx.saved
        flavor = target.flavor(ctx)
        moved = _moved_access(ctx)
        volumes = [ctx.new(Ref(VOLUME.type, volume["id"])) for volume in saved.volumes]
        body = server_body(
            replace(
                saved,
                access_ipv4="" if moved else saved.access_ipv4,
                scheduler_hints=target.scheduler_hints(ctx),
            ),
            name=_name(ctx),
            hostname=target.hostname(ctx, _name(ctx)),
            flavor=flavor,
            image=whole_disk(ctx) if saved.image else None,
            volumes=volumes,
            ports=[ctx.new(Ref(PORT.type, port["id"])) for port in saved.ports],
            zone=target.zone(ctx),
            key_name=target.key_pair(ctx),
            group=target.server_group(ctx),
        )
        server = ctx.make(SERVER, ctx.resource.ref, body)
        if moved:
            _restore_access(ctx, server, moved)
        _restore_state(ctx, server, volumes)
        _note_attributes(ctx)


def _name(ctx: Context) -> str:
    return str(ctx.options.restore_name or ctx.saved.name)


def _moved_access(ctx: Context) -> Facts | None:
    """The saved floating IP that `accessIPv4` is, where it does not come back with its address."""
    for floating_ip in ctx.saved.floating_ips:
        if floating_ip["address"] == ctx.saved.access_ipv4 and _became(ctx, floating_ip) != floating_ip["id"]:
            return dict(floating_ip)
    return None


def _became(ctx: Context, floating_ip: Facts) -> str | None:
    try:
        return ctx.new(Ref(FLOATING_IP.type, floating_ip["id"]))
    except KarborError:  # no router led to it, so it was left out
        return None


def _restore_access(ctx: Context, server: str, moved: Facts) -> None:
    """Have `accessIPv4` follow its floating IP, whose new address nobody knows before it is made."""
    new = _became(ctx, moved)
    if new is None:
        ctx.note("accessIPv4", "cannot", f"it was floating IP {moved['address']}, which is not restored")
        return
    ctx.note("accessIPv4", "mapped", f"the address that floating IP {moved['address']} becomes")

    def follow(cloud: Cloud) -> None:
        SERVER.put(cloud, server, accessIPv4=FLOATING_IP.seen(cloud, new)["floating_ip_address"])

    def follows(cloud: Cloud) -> bool:
        address = FLOATING_IP.seen(cloud, new)["floating_ip_address"]
        ctx.note("accessIPv4", "mapped", f"{address}, which floating IP {moved['address']} became")
        return bool(SERVER.seen(cloud, server)["accessIPv4"] == address)

    ctx.act("accessIPv4", follow, follows)


def _restore_state(ctx: Context, server: str, volumes: list[str]) -> None:
    """Power state, the fate of the volumes, the lock: in this order, since a locked server refuses the others."""
    saved: ServerFacts = ctx.saved
    if saved.status == "SHUTOFF":
        ctx.act("stop", partial(SERVER.stop, id=server), partial(SERVER.is_stopped, id=server))
    elif saved.status == "PAUSED":
        ctx.act("pause", partial(SERVER.pause, id=server), partial(SERVER.is_paused, id=server))
    for facts, volume in zip(saved.volumes, volumes, strict=True):
        if facts["delete_on_termination"]:
            ctx.act(
                f"delete_on_termination of volume {facts['id']}",
                partial(SERVER.set_delete_on_termination, id=server, volume_id=volume, value=True),
                partial(SERVER.has_delete_on_termination, id=server, volume_id=volume, value=True),
            )
    if saved.locked:
        ctx.act(
            "lock", partial(SERVER.lock, id=server, reason=saved.locked_reason), partial(SERVER.is_locked, id=server)
        )


def _note_attributes(ctx: Context) -> None:
    """Say how faithful the server is, besides what was said where it was decided."""
    name = _name(ctx)
    ctx.note("name", "same" if name == ctx.saved.name else "mapped", name)
    for attribute in AS_SAVED:
        if getattr(ctx.saved, attribute):
            ctx.note(attribute, "same")
    if ctx.saved.user_data is None:
        ctx.note("user_data", "cannot", "whatever there was could not be read; give it when protecting, as an option")
    ctx.note("id", "cannot", "it is a new server to its cloud; cloud-init runs as on a first boot")
