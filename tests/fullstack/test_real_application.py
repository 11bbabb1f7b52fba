"""An application of real guests on a real cloud: protected, lost completely, restored with the commands, and asked."""

from __future__ import annotations

import pytest
from living_application import GUESTS, LivingApplication
from looking import differences
from place import Place, inventory, more

from karbor.cloud.blockstorage import BACKUP
from karbor.cloud.connection import Cloud
from karbor.cloud.images import IMAGE
from karbor.cloud.servers import SERVER
from karbor.demo import disks
from karbor.demo.application import OWN_DISK
from karbor.model.errors import Refused
from karbor.plugins.base import HOOKS
from karbor.providers import OS_INFRA, load_providers
from karbor.store import operations
from karbor.store.database import open_state

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def app(place: Place) -> LivingApplication:
    return LivingApplication(place)


def test_it_runs_as_an_ordinary_member(cloud: Cloud) -> None:
    with pytest.raises(Refused):
        cloud.get("compute", "/os-hypervisors")


def test_the_loss_leaves_nothing_but_backups(app: LivingApplication) -> None:
    assert more(app.after_loss, app.place.at_first).keys() == {BACKUP.name}


def test_all_of_it_is_new(app: LivingApplication) -> None:
    """But for the key pair, whose id is its name."""
    assert {role for role, thing in app.old.things.items() if app.new[role] == thing.id} == {"key"}


def test_every_attribute_is_as_it_was(app: LivingApplication) -> None:
    assert differences(app.before, app.after, app.mapping) == []


def test_guests_find_their_bytes_again(app: LivingApplication) -> None:
    """Each guest has booted from its restored disk; it is asked through its restored floating IP."""
    assert app.new_answers == app.answers


def test_each_guest_runs_from_the_disk_that_was_its_own(app: LivingApplication) -> None:
    """Two servers of one image had written different bytes."""
    own = {role: app.new_answers[role].split()[-2] for role in GUESTS}
    assert len(set(own.values())) == len(GUESTS)
    assert {role: app.boots(app.new, role) for role in GUESTS} == dict.fromkeys(GUESTS, 2)


def test_the_base_image_has_its_bytes(app: LivingApplication) -> None:
    assert disks.image_sha256(app.cloud, app.new["golden"]) == app.image_sha256


def test_a_stopped_server_is_stopped(app: LivingApplication) -> None:
    assert SERVER.is_stopped(app.cloud, id=app.new["spare"]) is True


def test_what_was_saved_before_was_saved_as_an_increment(app: LivingApplication) -> None:
    """A volume in use: a full backup, then an increment on it; the other volumes had none to build on."""
    archive = load_providers(app.place.folder)[OS_INFRA].archive
    manifest = archive.read_manifest(app.cloud.project_id, app.checkpoint["id"])
    backups = {saved.ref.id: saved.saved["backup_id"] for saved in manifest.resources if "backup_id" in saved.saved}
    incremental = {
        role: (BACKUP.get(app.cloud, backups[id]) or {})["is_incremental"]
        for role, id in ((role, app.before[role].id) for role in app.all_volumes())
    }
    assert incremental == {role: role == "uploads" for role in app.all_volumes()}


FINISHED = {"active", "available", "reserved", "attaching", "in-use"}


def test_servers_are_completed_when_cinder_and_glance_have_finished(app: LivingApplication) -> None:
    """The last hook of a server starts after Cinder says `available` of its volumes, Glance `active` of its images."""
    database = open_state(app.place.folder)
    row = operations.get(database, app.restore["id"])
    nodes = [(resource["type"], resource["id"]) for resource in row["graph"]["resources"]]
    started = {
        nodes[hook["node"]]: hook["started_at"]
        for hook in operations.hooks(database, row["id"])
        if hook["hook"] == HOOKS.index("on_complete")
    }
    needs = {
        "web": ("uploads", "cache", f"{OWN_DISK}web", "golden"), "worker": (f"{OWN_DISK}worker", "golden"),
        "db": ("db-root", "tables"), "spare": ("spare-root",),
    }  # fmt: skip
    for server, roles in needs.items():
        completed = started[SERVER.type, app.before[server].id]
        for role in roles:
            kind, id = app.new.things[role]
            before, since = app.watch.before(completed, id), app.watch.since(completed, id)
            # An upload may be over between two looks, but its server then waits for Neutron; Cinder fills for seconds.
            telling = {"active"} if kind is IMAGE else {"creating", "restoring-backup"}
            assert before & telling, f"{role}: before its server's last hook it was seen {before or 'never'}"
            assert since and since <= FINISHED, f"{role}: since its server's last hook it was seen {since or 'never'}"
        created = app.after[server].attributes["created"].rstrip("Z")
        assert created >= completed.split(".")[0], "Nova made the server before its turn"


def test_nothing_is_left_of_it(app: LivingApplication) -> None:
    app.place.leave()
    assert inventory(app.cloud) == app.place.at_first
