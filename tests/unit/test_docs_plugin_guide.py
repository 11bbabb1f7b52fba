"""The plug-in guide is true: its plug-ins are installed and run as they stand there, its signatures are the code's."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doc_text import blocks, file_in, prose, read, rows, spans

from karbor.cloud.blockstorage import SNAPSHOT, VOLUME
from karbor.cloud.kind import Kind
from karbor.cloud.networks import FLOATING_IP, NETWORK
from karbor.model.resource import Ref
from karbor.plugins import base, registry
from karbor.plugins.project import PROJECT
from karbor.store import operations
from karbor.testing.rig import Rig

GUIDE = read("docs/plugin-guide.md")
(PROVIDER,) = blocks(GUIDE, "ini")
EXAMPLE, PORTED = "karbor_floating_ips", "karbor_volume_snapshots"

Install = Callable[[str, str], ModuleType]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a module of the guide with these entry points, as pip would; the module."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(module: str, points: str) -> ModuleType:
        (site / f"{module}.py").write_text(file_in(GUIDE, f"{module}.py"))
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        importlib.invalidate_caches()
        return importlib.import_module(module)

    yield install
    for module in (EXAMPLE, PORTED):
        sys.modules.pop(module, None)


def entry_points_of_the_guide() -> str:
    """The entry points of its pyproject.toml, as an installer writes them down."""
    groups = tomllib.loads(file_in(GUIDE, "pyproject.toml"))["project"]["entry-points"]
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    )


@pytest.fixture
def example(install: Install) -> ModuleType:
    return install(EXAMPLE, entry_points_of_the_guide())


@pytest.fixture
def rig(example: ModuleType, tmp_path: Path) -> Iterator[Rig]:
    """A sandbox in whose default provider the example is."""
    with Rig(tmp_path / "state") as rig:
        yield rig


def external_network(rig: Rig) -> str:
    networks = rig.cloud().pages("network", NETWORK.path, NETWORK.plural)
    return next(str(each["id"]) for each in networks if each["router:external"])


def reserve(rig: Rig) -> str:
    """A floating IP with everything that the plug-in keeps."""
    id = FLOATING_IP.post(rig.cloud(), {"floating_network_id": external_network(rig), "description": "for the shop"})
    rig.cloud().put("network", f"{FLOATING_IP.at(id)}/tags", {"tags": ["blue", "shop"]})
    return id


def notes(rig: Rig, row: Any) -> dict[str, str]:
    entries = operations.entries(rig.database, row["id"])
    return {entry["key"]: entry["value"]["outcome"] for entry in entries if entry["verb"] == "note"}


def test_the_example_keeps_the_contract(example: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test_contract.py").write_text(file_in(GUIDE, "test_contract.py"))
    (typed,) = (line for line in "".join(blocks(GUIDE, "console")).splitlines() if "pytest" in line)
    program, *words = typed.removeprefix("$ ").split()
    assert program == "python"
    ended = subprocess.run(
        [sys.executable, *words, "-x", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    passed = re.search(r"^(\d+) passed", ended.stdout, re.MULTILINE)
    assert ended.returncode == 0, ended.stdout
    assert passed
    assert int(passed[1]) > 5


def test_the_example_is_found_by_its_name(rig: Rig, example: ModuleType) -> None:
    assert registry.kinds()["floating_ip"] == FLOATING_IP.type
    assert rig.provider.plugins[FLOATING_IP.type] is example.FloatingIpPlugin


def test_the_example_uses_what_is_still_there(rig: Rig) -> None:
    id = reserve(rig)
    protected = rig.protect(Ref(PROJECT, rig.cloud().project_id))
    before = rig.inventory()
    row = rig.restore(protected["checkpoint_id"])
    assert (row["status"], row["error_info"]) == ("success", None)
    assert rig.became(row, Ref(FLOATING_IP.type, id)) == id
    assert rig.inventory() == before


def test_the_example_makes_what_is_gone(rig: Rig) -> None:
    id = reserve(rig)
    protected = rig.protect(Ref(FLOATING_IP.type, id))
    rig.lose(FLOATING_IP, id)
    row = rig.restore(protected["checkpoint_id"])
    assert row["status"] == "success", row["error_info"]
    made = FLOATING_IP.get(rig.cloud(), rig.became(row, Ref(FLOATING_IP.type, id)))
    assert made
    assert (made["description"], sorted(made["tags"])) == ("for the shop", ["blue", "shop"])
    assert notes(rig, row) == {"description": "same", "address": "mapped"}


def test_the_example_says_beforehand_what_is_missing(rig: Rig) -> None:
    protected = rig.protect(Ref(FLOATING_IP.type, reserve(rig)))
    wanted = {FLOATING_IP.type: {"network_id": "nowhere"}}
    _, outline = rig.engine().outline(rig.cloud(), protected["checkpoint_id"], parameters=wanted)
    (blocker,) = outline["blockers"]
    assert "no external network 'nowhere'" in blocker["reason"]
    assert external_network(rig) in blocker["reason"]


def test_the_ported_plug_in_works(install: Install, tmp_path: Path) -> None:
    install(PORTED, f"[karbor.protections]\nvolume_snapshot = {PORTED}:VolumeSnapshotPlugin\n")
    (tmp_path / "state" / "providers.d").mkdir(parents=True)
    (tmp_path / "state" / "providers.d" / "snapshots.conf").write_text(PROVIDER)
    with Rig(tmp_path / "state") as rig:
        body = {"name": "rows", "size": 1, "description": "of the shop", "metadata": {"tier": "gold"}}
        volume = Ref(VOLUME.type, VOLUME.post(rig.cloud(), body))
        before = rig.inventory()
        protected = rig.protect(volume)
        assert protected["status"] == "available", protected["error_info"]
        assert [snapshot["name"] for snapshot in SNAPSHOT.list(rig.cloud())] == ["rows"]
        assert rig.verify(protected["checkpoint_id"])["status"] == "success"
        row = rig.restore(protected["checkpoint_id"])
        assert row["status"] == "success", row["error_info"]
        restored = VOLUME.get(rig.cloud(), rig.became(row, volume)) or {}
        assert {key: restored[key] for key in body} == body
        assert rig.engine().roll_back(row["id"], rig.cloud())["phase"] == "ended"
        assert rig.delete(protected["checkpoint_id"])["status"] == "deleted"
        assert rig.inventory() == before


def test_the_old_plug_in_is_python() -> None:
    (old,) = (code for code in blocks(GUIDE, "python") if "update_resource_status" in code)
    names = {node.name for node in ast.walk(ast.parse(old)) if isinstance(node, ast.ClassDef)}
    assert names == {"ProtectOperation", "RestoreOperation", "VolumeSnapshotPlugin"}


def promised() -> dict[str, ast.ClassDef]:
    """The classes whose signatures the guide lists."""
    (code,) = (code for code in blocks(GUIDE, "python") if code.startswith("class Context:"))
    return {node.name: node for node in ast.parse(code).body if isinstance(node, ast.ClassDef)}


def members(class_: type[Any]) -> dict[str, str]:
    """The public members of a class: signatures of methods, types of the rest."""
    found = dict(inspect.get_annotations(class_))
    for name, value in vars(class_).items():
        if isinstance(value, property):
            found[name] = str(inspect.signature(value.fget).return_annotation)  # type: ignore[arg-type]
        elif inspect.isfunction(value) and not name.startswith("_"):
            found[name] = str(inspect.signature(value))
    return {name: _plain(text) for name, text in found.items() if not name.startswith("_")}


def _plain(signature: str) -> str:
    return re.sub(r"[\s'\"]", "", signature)


@pytest.mark.parametrize("name", ["Context", "Operation", "ProtectionPlugin", "Protectable"])
def test_the_signatures_are_those_of_the_code(name: str) -> None:
    listed = {}
    for node in promised()[name].body:
        if isinstance(node, ast.FunctionDef):
            result = ast.unparse(node.returns) if node.returns else ""
            listed[node.name] = _plain(f"({ast.unparse(node.args)}) -> {result}")
        else:
            assert isinstance(node, ast.AnnAssign)
            listed[ast.unparse(node.target)] = _plain(ast.unparse(node.annotation))
    assert listed == members(getattr(base, name))


def test_every_call_of_a_context_is_explained_and_no_other_is_named() -> None:
    calls = {name for name, value in vars(base.Context).items() if inspect.isfunction(value) and name[0] != "_"}
    assert {row[0].strip("`").removeprefix("ctx.") for row in rows(GUIDE, "call")} == calls
    assert set(re.findall(r"\bctx\.(\w+)", GUIDE)) <= set(members(base.Context))


def test_the_promises_of_a_kind_are_those_of_the_code() -> None:
    for row in rows(GUIDE, "method"):
        name, arguments = re.findall(r"`(\w+)\((.*)\)`", row[0])[0]
        found = inspect.signature(getattr(Kind, name))
        assert ["self", *arguments.split(", ")] == list(found.parameters)


def test_the_hooks_are_all_there() -> None:
    assert [row[0].strip("`") for row in rows(GUIDE, "hook")] == list(base.HOOKS)


def test_the_errors_are_there() -> None:
    errors = importlib.import_module("karbor.model.errors")
    for row in rows(GUIDE, "raise"):
        assert issubclass(getattr(errors, row[0].strip("`")), errors.KarborError)


def test_the_functions_for_bytes_are_there() -> None:
    pieces = importlib.import_module("karbor.banks.pieces")
    for name, rest in re.findall(r"`(\w+_artifact)\(ctx\.section, \"disk\"(.*?)\)`", prose(GUIDE)):
        known = inspect.signature(getattr(pieces, name)).parameters
        assert set(re.findall(r"(\w+)=", rest)) <= set(known)


def test_the_kinds_and_modules_that_it_names_are_there() -> None:
    paragraph = GUIDE.split("## Kinds\n")[1].split("## ")[0]
    cloud = Path(inspect.getfile(Kind)).parent
    modules = [importlib.import_module(f"karbor.cloud.{path.stem}") for path in cloud.glob("*.py")]
    for name in re.findall(r"`([A-Z_]{4,})`", paragraph):
        assert any(isinstance(getattr(module, name, None), Kind) for module in modules), name
    for path in (code for code in spans(GUIDE) if re.fullmatch(r"karbor/[\w/]+\.py", code)):
        assert (cloud.parent.parent / path).is_file()


def test_facts_of_the_examples_have_defaults(example: ModuleType, install: Install) -> None:
    ported = install(PORTED, "")
    for facts in (example.Facts, ported.Facts):
        assert dataclasses.fields(facts)
        facts()
