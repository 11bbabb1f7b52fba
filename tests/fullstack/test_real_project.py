"""A whole project on a real cloud, structure without guests: one lost server is put back, then everything is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from builder import BACK, FRONT, Builder
from looking import differences, look, look_again
from place import Place, inventory

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.networks import NETWORK, PORT, SUBNET
from karbor.cloud.servers import SERVER
from karbor.demo import waits
from karbor.demo.application import Application
from karbor.demo.compare import Row, mapping_of
from karbor.demo.destroy import destroy

pytestmark = pytest.mark.timeout(1800)
FIRST = 1
"""The first address of `back`, which DHCP would take, had it not been turned on later."""


class Project:
    """An application of two servers with volumes only, and the checkpoint of the project that it is all of."""

    def __init__(self, place: Place) -> None:
        self.place, self.cloud = place, place.cloud
        self.app = place.application()
        self._build()
        waits.until("DHCP serves all subnets", self._is_served)
        self.before = look(self.cloud, self.app)
        self.dhcp = dhcp_of(place, self.app)
        self.checkpoint = place.protect("project")

    def _build(self) -> None:
        builder = Builder(self.cloud, self.app, self.place.prefix, self.place.ground(self.place.quick_zone()))
        builder.groups()
        builder.networks(enable_dhcp=False)
        builder.port(
            "web-front", "front", "group-web", f"{FRONT}20", allowed_address_pairs=[{"ip_address": f"{FRONT}99"}]
        )
        builder.port("web-back", "back", "group-web", f"{BACK}20")
        builder.port("db-back", "back", "group-db", f"{BACK}{FIRST}", description="The only way in")
        SUBNET.turn_on_dhcp(self.cloud, id=self.app["back-v4"])
        builder.floating_ip("address", "web-front")
        for role in ("web-root", "db-root"):
            VOLUME.set_bootable(self.cloud, id=builder.volume(role), bootable=True)
        group = {"group": self.app["apart"]}
        builder.server(
            "web", "web-front", "web-back", hints=group, key_name=f"{builder.prefix}key", metadata={"role": "web"},
            tags=["prod"], block_device_mapping_v2=[builder.disk("web-root", boot_index=0)],
        )  # fmt: skip
        builder.server("db", "db-back", block_device_mapping_v2=[builder.disk("db-root", boot_index=0)])
        for role in ("web", "db"):
            waits.ready(self.cloud, SERVER, self.app[role])

    def _is_served(self) -> bool:
        """Whether DHCP has its address in every subnet, which it takes one by one."""
        ports = [port for id in self.app.of(NETWORK).values() for port in PORT.of_dhcp(self.cloud, id)]
        served = {address["subnet_id"] for port in ports for address in port["fixed_ips"]}
        return set(self.app.of(SUBNET).values()) <= served

    def differences(self, new: Application, mapping: Mapping[str, Any]) -> list[Row]:
        """Where the application is not as it was before anything was lost."""
        return differences(self.before, look_again(self.cloud, new, self.before, mapping), mapping)

    def restored(self, *words: str) -> tuple[Application, Mapping[str, Any]]:
        """Restore; the application as it is then, and the new ids by the old."""
        mapping = mapping_of(self.place.restore(self.checkpoint, *words))
        kept = {role: thing for role, thing in self.app.things.items() if thing.kind.get(self.cloud, thing.id)}
        return self.place.know(Application({**kept, **self.app.became(mapping).things})), mapping


def dhcp_of(place: Place, app: Application) -> dict[str, list[Any]]:
    """The MACs and addresses from which DHCP serves, by the network's role."""
    found = {role: list(PORT.of_dhcp(place.cloud, app[role])) for role in ("front", "back")}
    return {
        role: [(port["mac_address"], sorted(each["ip_address"] for each in port["fixed_ips"])) for port in ports]
        for role, ports in found.items()
    }


@pytest.fixture(scope="module")
def project(place: Place) -> Project:
    return Project(place)


def test_a_lost_server_is_put_back_onto_its_living_network(project: Project) -> None:
    cloud, app = project.cloud, project.app
    waits.removed(cloud, SERVER, [app["web"]])
    waits.removed(cloud, VOLUME, [app["web-root"]])
    new, mapping = project.restored("--resource", f"server/{project.place.prefix}web")
    assert {role for role, thing in new.things.items() if thing != app.things[role]} == {"web", "web-root"}
    assert project.differences(new, mapping) == []
    destroy(cloud, new)


def test_a_whole_project_comes_back(project: Project) -> None:
    cloud = project.cloud
    new, mapping = project.restored()
    assert set(new.things) == set(project.app.things)
    assert project.differences(new, mapping) == []
    assert dhcp_of(project.place, new) == project.dhcp
    project.place.leave()
    assert inventory(cloud) == project.place.at_first
