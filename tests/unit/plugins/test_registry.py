"""The registry: what is shipped is found, what others ship too, and what is broken is named."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from karbor.banks.memory import MemoryBank
from karbor.model.errors import Invalid
from karbor.plugins import registry
from karbor.plugins.noop import NoopPlugin
from karbor.plugins.options import parse, schema_of

PROJECT_FILE = Path(__file__).parents[3] / "pyproject.toml"
MODULE = """
from karbor.plugins.base import Operation, ProtectionPlugin

class SharePlugin(ProtectionPlugin):
    name = "share"
    types = frozenset({"OS::Manila::Share"})
    protect = Operation

class Typeless(ProtectionPlugin):
    name = "typeless"

class Wrong(SharePlugin):
    restore = "later"

class Shares:
    type = "OS::Manila::Share"
    parents = frozenset()
    def all(self, inventory): return iter(())
    def one(self, inventory, id): raise LookupError
    def children_of(self, inventory, parent): return iter(())
    def references_of(self, inventory, resource): return iter(())

class Volumes(Shares):
    type = "OS::Cinder::Volume"

SHARES, VOLUMES, HALF = Shares(), Volumes(), object()
"""


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a package `karbor-shares` with these entry points."""

    def install(group: str, **points: str) -> None:
        (tmp_path / "karbor_shares.py").write_text(MODULE)
        info = tmp_path / "karbor_shares-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: karbor-shares\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
        monkeypatch.syspath_prepend(str(tmp_path))

    return install


def test_all_that_the_project_declares_is_found() -> None:
    declared = tomllib.loads(PROJECT_FILE.read_text())["project"]["entry-points"]
    plugins = registry.protections()
    assert set(plugins) == set(declared[registry.PROTECTIONS])
    assert all(name == plugin.name for name, plugin in plugins.items())
    assert len(registry.protectables()) == len(declared[registry.PROTECTABLES])
    for name in declared[registry.BANKS]:
        registry.bank(name)


def test_each_type_has_one_plugin_and_can_be_discovered() -> None:
    types = [type for name, plugin in registry.protections().items() if name != "noop" for type in plugin.types]
    assert sorted(types) == sorted(registry.protectables())
    assert frozenset(types) == NoopPlugin.types


def test_children_are_listed_as_clients_expect_them() -> None:
    types = list(registry.protectables())
    assert types.index("OS::Glance::Image") < types.index("OS::Cinder::Volume") < types.index("OS::Neutron::Network")


@pytest.mark.parametrize("verb", ["protect", "restore", "verify", "delete"])
def test_every_operation_has_a_schema_and_needs_no_options(verb: str) -> None:
    for name, plugin in registry.protections().items():
        operation = getattr(plugin, verb)
        if operation is not None:
            assert schema_of(operation.Options)["title"], name
            assert parse(operation.Options, {}) == operation.Options()
            operation.Saved()


def test_what_others_ship_is_found_after_ours(ship: Callable[..., None]) -> None:
    ship(registry.PROTECTIONS, share="karbor_shares:SharePlugin")
    assert list(registry.protections())[-1] == "share"


def test_a_protectable_of_others_comes_last(ship: Callable[..., None]) -> None:
    ship(registry.PROTECTABLES, a_share="karbor_shares:SHARES")
    assert list(registry.protectables())[-1] == "OS::Manila::Share"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("karbor_shares:Missing", "cannot be loaded"),
        ("karbor_absent:Missing", "cannot be loaded"),
        ("karbor_shares:SHARES", "is no protection plug-in"),
        ("karbor_shares:Typeless", "names no resource types"),
        ("karbor_shares:Wrong", "has something for restore that is no operation"),
    ],
)
def test_a_broken_plugin_is_named_with_its_package(ship: Callable[..., None], value: str, words: str) -> None:
    ship(registry.PROTECTIONS, share=value)
    with pytest.raises(Invalid, match=f"plug-in 'share' of karbor-shares \\({value}\\) {words}"):
        registry.protections()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("karbor_shares:HALF", "is no protectable: it has no type, parents"),
        ("karbor_shares:VOLUMES", "and so is another"),
    ],
)
def test_a_broken_protectable_is_named(ship: Callable[..., None], value: str, words: str) -> None:
    ship(registry.PROTECTABLES, share=value)
    with pytest.raises(Invalid, match=words):
        registry.protectables()


def test_two_plugins_of_one_name_are_refused(ship: Callable[..., None]) -> None:
    ship(registry.PROTECTIONS, volume="karbor_shares:SharePlugin")
    with pytest.raises(Invalid, match="have the same name; uninstall one of them"):
        registry.protections()


def test_banks_are_asked_for_by_name(ship: Callable[..., None]) -> None:
    ship(registry.BANKS, shares="karbor_shares:SharePlugin")
    assert registry.bank("memory") is MemoryBank
    with pytest.raises(Invalid, match="there is no bank 'tape'; installed are file_system, memory"):
        registry.bank("tape")
    with pytest.raises(Invalid, match="is no bank"):
        registry.bank("shares")
