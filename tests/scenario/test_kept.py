"""A failed restore that was kept: somebody deletes by hand what it has made, before it is resumed or taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from shop import Shop

from karbor.cloud.blockstorage import BACKUP, VOLUME
from karbor.cloud.kind import KINDS
from karbor.cloud.networks import NETWORK, PORT, ROUTER, ROUTER_INTERFACE
from karbor.cloud.servers import SERVER
from karbor.demo.application import OWN_DISK, Application
from karbor.demo.describe import Description
from karbor.engine import report
from karbor.store import operations


class Site:
    """A shop whose application is lost and half restored: its servers, or one, were refused, and are not any more."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.old = shop.open()
        self.before: Mapping[str, Description] = shop.picture(self.old)
        checkpoint = shop.protected(self.old)
        shop.destroy(self.old)
        self.empty = shop.holds()
        self._checkpoint = checkpoint

    def keep(self, refused: str = "web|db") -> Application:
        """Restore, but for the servers with such names; what there is then."""
        fault = {"service": "compute", "method": "POST", "path": "/servers", "body": f'"name": ?"({refused})"'}
        self.shop.fault(**fault, action="status", status=400, times=None)
        row = self.shop.restore(self._checkpoint, on_failure="keep")
        assert row["phase"] == "kept"
        self.id = str(row["id"])
        self.shop.ask("/sandbox/faults", "DELETE")
        self.created = Counter(self.shop.creates())
        return self.shop.again(self.old, self.document())

    def document(self) -> dict[str, Any]:
        return report.restore_document(self.shop.database, operations.get(self.shop.database, self.id))

    def resume(self) -> Mapping[str, Any]:
        return self.shop.engine().run(self.id, self.shop.cloud())

    def made(self) -> Counter[str]:
        """What was created since, by kind."""
        return Counter(self.shop.creates()) - self.created

    def is_whole(self) -> bool:
        return self.shop.is_as_before(self.before, self.old, self.document())

    def notes(self) -> set[str]:
        return {note["attribute"] for note in self.document()["notes"] if note["why"].startswith("it was gone when")}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Shop(tmp_path) as shop:
        yield Site(shop)


@pytest.mark.parametrize("role", ["db-data", "web-front", OWN_DISK + "web", "base", "address", "key", "apart"])
def test_what_is_gone_is_made_again_once_and_that_is_told(site: Site, role: str) -> None:
    kind, id = site.keep().things[role]
    site.shop.remove(kind, id)
    row = site.resume()
    assert row["status"] == "success", row["error_info"]
    assert site.is_whole()
    assert site.made() == Counter({"server": 2, kind.name.replace("_", "") if role == "address" else kind.name: 1})
    assert site.notes() == {f"{kind.name} {id}"}
    assert site.shop.engine().roll_back(site.id, site.shop.cloud())["phase"] == "ended"
    assert site.shop.holds() == site.empty


def lose_network(site: Site, router: str, network: str) -> set[str]:
    """Delete a network and all that is in it; what of this the restore had made, as it calls them."""
    ports = [port for port in site.shop.all(PORT).values() if port["network_id"] == network]
    if any(port["device_id"] == router for port in ports):
        ROUTER.put(site.shop.cloud(), router, routes=[])
    for port in sorted(ports, key=lambda port: bool(port["device_id"] == router)):
        site.shop.remove(ROUTER_INTERFACE, port["id"])
    site.shop.remove(NETWORK, network)
    made = site.document()["made"]
    return {f"{it['kind']} {it['id']}" for it in made if KINDS[it["kind"]].get(site.shop.cloud(), it["id"]) is None}


@pytest.mark.parametrize("role", ["front", "back"])
def test_a_network_comes_back_with_all_that_was_in_it(site: Site, role: str) -> None:
    now = site.keep()
    gone = lose_network(site, now["router"], now[role])
    row = site.resume()
    assert row["status"] == "success", row["error_info"]
    assert site.is_whole()
    assert site.notes() == gone
    assert sum(site.made().values()) == len(gone) + 2


def test_a_server_is_put_together_again(site: Site) -> None:
    now = site.keep(refused="db")
    site.shop.remove(SERVER, now["web"])
    row = site.resume()
    assert row["status"] == "success", row["error_info"]
    assert site.is_whole()
    assert site.made() == Counter({"server": 2})


def test_of_a_server_that_stands_no_part_is_made_again(site: Site) -> None:
    now = site.keep(refused="db")
    SERVER.detach(site.shop.cloud(), id=now["web"], volume_id=now["web-data"])
    site.shop.until(lambda: site.shop.now(VOLUME, now["web-data"])["status"] == "available")
    site.shop.remove(VOLUME, now["web-data"])
    before = site.shop.holds()
    row = site.resume()
    assert (row["status"], row["phase"]) == ("fail", "kept")
    said = f"volume {now['web-data']}, which this restore had made, is gone, and server {now['web']} was made with it; "
    assert said + f"take the restore back with `karbor operation rollback {site.id}`" in row["error_info"]
    assert site.shop.holds() == before
    assert site.shop.engine().roll_back(site.id, site.shop.cloud())["phase"] == "ended"
    assert site.shop.holds() == site.empty


def test_a_service_that_does_not_say_what_is_there_changes_nothing(site: Site) -> None:
    site.shop.remove(VOLUME, site.keep()["db-data"])
    before = site.shop.holds()
    site.shop.fault(service="volume", method="GET", path="/volumes/.*", action="status", status=503, times=None)
    row = site.resume()
    assert (row["status"], row["phase"]) == ("fail", "kept")
    assert "503 The service failed on demand" in row["error_info"]
    assert site.shop.holds() == before
    site.shop.ask("/sandbox/faults", "DELETE")
    assert site.resume()["status"] == "success"
    assert site.made() == Counter({"server": 2, "volume": 1})


def test_without_the_bank_it_stays_kept_whenever_its_resume_was_killed(site: Site) -> None:
    site.keep()
    before, bank = site.shop.holds(), site.shop.folder / "bank"
    moment = 0
    while operations.get(site.shop.database, site.id)["phase"] == "kept":
        assert site.shop.killed_at(site.id, moment)
        moment += 1
    bank.rename(bank.with_name("unmounted"))
    row = site.resume()
    assert (row["status"], row["phase"]) == ("fail", "kept")
    assert "bank" in row["error_info"]
    assert site.shop.holds() == before
    bank.with_name("unmounted").rename(bank)
    assert site.resume()["status"] == "success"
    assert site.made() == Counter({"server": 2})


def test_what_an_interrupted_call_has_made_is_found(site: Site) -> None:
    now = site.keep()
    site.shop.remove(VOLUME, now["db-data"])
    site.shop.fault(service="volume", method="POST", path="/volumes", status=500, after=True)
    assert site.resume()["status"] == "success"
    assert site.made() == Counter({"server": 2, "volume": 1})


def test_what_failed_in_one_form_and_stands_in_another_is_not_made_twice(site: Site) -> None:
    (backup,) = (id for id, backup in site.shop.all(BACKUP).items() if backup["name"] == "db-root")
    site.shop.fault(service="volume", method="POST", path=f"/backups/{backup}/restore", action="late_error")
    fault = {"service": "volume", "method": "POST", "path": "/volumes/.*/action", "body": "os-set_bootable"}
    site.shop.fault(**fault, status=400, times=None)
    site.keep()
    row = site.resume()
    assert row["status"] == "success", row["error_info"]
    assert site.is_whole()
    assert site.made() == Counter({"server": 2})


def test_what_is_all_gone_is_taken_back(site: Site) -> None:
    site.shop.destroy(site.keep(refused="db"))
    assert site.shop.engine().roll_back(site.id, site.shop.cloud())["phase"] == "ended"
    assert site.shop.holds() == site.empty
