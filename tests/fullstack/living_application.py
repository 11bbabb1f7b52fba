"""An application of running guests and one stopped server, with bytes on all its disks, lost and brought back."""

from __future__ import annotations

from typing import Any

from builder import BACK, FRONT, Builder
from guest import Guest, guest_image
from looking import look, look_again
from place import Inventory, Place, inventory
from watch import StatusWatch

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.servers import SERVER
from karbor.demo import disks, waits
from karbor.demo.application import Application
from karbor.demo.compare import mapping_of
from karbor.demo.destroy import destroy

GUESTS = {"web": ("vdb", "vdc"), "worker": (), "db": ("vdb",)}
"""The data disks that each running guest sees, in order."""

RANDOM = "dd if=/dev/urandom bs=64k count=16 2>/dev/null"
FILL = f"mke2fs -q /dev/{{0}} && mount -t ext2 /dev/{{0}} /mnt && {RANDOM} >/mnt/bytes && umount /mnt"
FILL_OWN = f"{RANDOM} >/disk/own && sync"
MORE = f"mount -t ext2 /dev/vdb /mnt && {RANDOM} >>/mnt/bytes && umount /mnt && sync"
READ = "mount -t ext2 -o ro /dev/{0} /mnt && sha256sum /mnt/bytes && umount /mnt"


class LivingApplication:
    """What was seen of it before it was lost and after it was restored."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.cloud = place.cloud
        self.old = place.application()
        self._build()
        self.first_checkpoint, self.checkpoint = self._protect()
        self.before = look(self.cloud, self.old)
        self.answers = {role: self._ask(self.old, role) for role in GUESTS}
        self.image_sha256 = disks.image_sha256(self.cloud, self.old["golden"])
        destroy(self.cloud, self.old)
        self.after_loss: Inventory = inventory(self.cloud)
        with StatusWatch(self.cloud) as self.watch:
            self.restore: Any = place.restore(self.checkpoint)
        self.mapping = mapping_of(self.restore)
        self.new: Application = place.know(self.old.became(self.mapping))
        self.after = look_again(self.cloud, self.new, self.before, self.mapping)
        self.new_answers = {role: self._ask(self.new, role) for role in GUESTS}

    def boots(self, app: Application, role: str) -> int:
        """How often the disk that a guest runs from was booted."""
        return int(self._guest(app, role).ask("cat /disk/boots"))

    def _build(self) -> None:
        cloud = self.cloud
        builder = Builder(cloud, self.old, self.place.prefix, self.place.ground("real"))
        builder.groups()
        builder.networks()
        builder.image(
            "golden", cloud.download(guest_image(cloud)), disk_format="qcow2", min_disk=1, tags=["golden", "v7"],
            os_distro="demo", hw_disk_bus="virtio",
        )  # fmt: skip
        builder.volume("uploads", description="Uploads", metadata={"tier": "web", "backup": "nightly"})
        builder.volume("cache", metadata={"tier": "web"})
        builder.volume("tables", description="Tables")
        builder.volume("db-root", imageRef=self.old["golden"], metadata={"tier": "db"})
        builder.volume("spare-root", imageRef=self.old["golden"])
        for role, network, group, address in (
            ("web-front", "front", "group-web", f"{FRONT}20"), ("web-back", "back", "group-web", f"{BACK}20"),
            ("worker-front", "front", "group-web", f"{FRONT}21"), ("db-front", "front", "group-db", f"{FRONT}30"),
            ("spare-back", "back", "group-db", f"{BACK}40"),
        ):  # fmt: skip
            builder.port(role, network, group, address, description=f"of {role}")
        for role in GUESTS:
            builder.floating_ip(f"{role}-address", f"{role}-front")
        self._build_servers(builder)
        for role, seen in GUESTS.items():
            guest = self._guest(self.old, role)
            guest.wait(*seen)
            guest.ask(" && ".join([*(FILL.format(disk) for disk in seen), FILL_OWN]))

    def _build_servers(self, builder: Builder) -> None:
        """Two servers of one image, one with two NICs and two volumes; one on a boot volume; one that is stopped."""
        key, own = f"{builder.prefix}key", builder.own_disk("golden")
        builder.server(
            "web", "web-front", "web-back", hints={"group": self.old["apart"]}, imageRef=self.old["golden"],
            key_name=key, description="The web server", hostname="www", metadata={"role": "web"}, tags=["prod", "web"],
            block_device_mapping_v2=[own, builder.disk("uploads", tag="uploads"), builder.disk("cache")],
        )  # fmt: skip
        builder.server("worker", "worker-front", imageRef=self.old["golden"], block_device_mapping_v2=[own])
        builder.server(
            "db", "db-front", hints={"group": self.old["apart"]}, key_name=key, metadata={"role": "db"},
            block_device_mapping_v2=[
                builder.disk("db-root", boot_index=0), builder.disk("tables", delete_on_termination=True),
            ],
        )  # fmt: skip
        builder.server("spare", "spare-back", block_device_mapping_v2=[builder.disk("spare-root", boot_index=0)])
        for role in ("web", "worker", "db", "spare"):
            waits.ready(self.cloud, SERVER, self.old[role])
        SERVER.lock(self.cloud, id=self.old["db"], reason="holds the orders")
        spare = self.old["spare"]
        SERVER.stop(self.cloud, id=spare)
        waits.until("the spare server stops", lambda: SERVER.is_stopped(self.cloud, id=spare) is True)

    def _protect(self) -> tuple[Any, Any]:
        """Save one volume in use; then, when its guest has written more, everything, and what can be incrementally."""
        prefix = self.place.prefix
        first = self.place.protect(f"volume/{prefix}uploads")
        self._guest(self.old, "web").ask(MORE)
        servers = [f"server/{prefix}{role}" for role in self.old.of(SERVER)]
        return first, self.place.protect(*servers, "--option", "volume.backup_mode=incremental")

    def _guest(self, app: Application, role: str) -> Guest:
        return Guest(self.cloud, app[role], app[f"{role}-address"])

    def _ask(self, app: Application, role: str) -> str:
        """The hashes of all files on the guest's data disks, disk by disk, and of one on the disk that it runs from."""
        guest = self._guest(app, role)
        guest.wait(*GUESTS[role])
        return guest.ask(" && ".join([*(READ.format(disk) for disk in GUESTS[role]), "sha256sum /disk/own"]))

    def all_volumes(self) -> dict[str, str]:
        """The ids of the restored volumes, by role."""
        return self.new.of(VOLUME)
