"""The server plug-in keeps the plug-in contract."""

from __future__ import annotations

import parts

from karbor.cloud.blockstorage import VOLUME
from karbor.cloud.networks import FLOATING_IP, PORT, ROUTER, SECURITY_GROUP
from karbor.cloud.servers import SERVER
from karbor.model.resource import Ref
from karbor.testing.plugin_suite import Application, PluginSuite
from karbor.testing.rig import Rig


class TestServerOnAnImage(PluginSuite):
    """A server with an own disk, a data volume and a fixed address; its floating IP and its surroundings stay."""

    plugin = "server"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        image = parts.public_image(cloud)
        volume = VOLUME.post(cloud, {"name": "data", "size": 1})
        network, subnet = parts.network(cloud, "front", "10.5.0.0/24")
        router = ROUTER.post(cloud, {"name": "gate", "external_gateway_info": {"network_id": parts.external(cloud)}})
        parts.plug(cloud, router, network, subnet, "10.5.0.1")
        group = SECURITY_GROUP.post(cloud, {"name": "web"})
        fixed_ips = [{"subnet_id": subnet, "ip_address": "10.5.0.50"}]
        port = PORT.post(cloud, {"network_id": network, "fixed_ips": fixed_ips, "security_groups": [group]})
        own = {"uuid": image, "source_type": "image", "destination_type": "local", "boot_index": 0}
        server = parts.server(
            cloud,
            imageRef=image,
            networks=[{"port": port}],
            metadata={"role": "web"},
            block_device_mapping_v2=[{**own, "delete_on_termination": True}, parts.disk(volume)],
        )
        FLOATING_IP.post(cloud, {"floating_network_id": parts.external(cloud), "port_id": port})

        def lose() -> None:
            for kind, id in ((SERVER, server), (VOLUME, volume), (PORT, port)):
                rig.lose(kind, id)

        return Application([Ref(SERVER.type, server)], lose=lose)


class TestServerOnAVolume(PluginSuite):
    """A stopped and locked server that boots from a volume and takes it along when it goes."""

    plugin = "server"

    def build(self, rig: Rig) -> Application:
        cloud = rig.cloud()
        root = VOLUME.post(cloud, {"name": "root", "size": 1})
        VOLUME.set_bootable(cloud, id=root, bootable=True)
        disks = [parts.disk(root, 0, delete_on_termination=True)]
        server = parts.server(cloud, block_device_mapping_v2=disks, tags=["gold"])
        SERVER.stop(cloud, id=server)
        SERVER.lock(cloud, id=server, reason="do not touch")
        return Application([Ref(SERVER.type, server)], lose=lambda: rig.lose(SERVER, server))
