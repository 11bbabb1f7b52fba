"""The session of the README works as it stands there, and the README leads to all documents."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_text import DOCUMENTS, ROOT, blocks, commands, read

from karbor import main
from karbor.sandbox import Sandbox

TEXT = read("README.md")
SESSION = [words for words in commands(f"```console\n{blocks(TEXT, 'console')[0]}```\n") if words]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """What the first two lines of the session give."""
    cloud = Sandbox(tmp_path / "try").start()
    monkeypatch.setenv("KARBOR_STATE", str(cloud.folder))
    monkeypatch.setenv("OS_CLOUD", "sandbox")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))
    yield cloud
    cloud.stop()


def test_the_session(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    (start, export), rest = SESSION[:2], SESSION[2:]
    assert start == ["karbor", "sandbox", "--state", "~/try"]
    assert {word.partition("=")[0] for word in export[1:]} == {"KARBOR_STATE", "OS_CLOUD", "OS_CLIENT_CONFIG_FILE"}
    ids = {"CHECKPOINT": "", "OPERATION": ""}
    for program, *words in rest:
        typed = [ids.get(word, word) for word in words]
        if program == "openstack":
            script = [sys.executable, "-W", "ignore", "-m", "openstackclient.shell", *typed]
            ended = subprocess.run(script, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)
            assert ended.returncode == 0, (words, ended.stderr)
            continue
        assert main.run(typed) == 0, (words, capsys.readouterr().err)
        if words[0] in ("protect", "restore"):
            capsys.readouterr()
            main.run(["operation", "show", "--format", "json"])
            log = json.loads(capsys.readouterr().out)["operation_log"]
            ids |= {"CHECKPOINT": log["checkpoint_id"], "OPERATION": log["id"]}
    capsys.readouterr()
    main.run(["checkpoint", "list", "--format", "json"])
    assert json.loads(capsys.readouterr().out) == {"checkpoints": []}


def test_the_two_commands() -> None:
    assert blocks(TEXT, "sh") == ["make demo\nmake test\n"]


def test_it_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", TEXT))
    assert linked == {str(path.relative_to(ROOT)) for path in DOCUMENTS} - {"README.md"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_document_opens_with_what_it_is_for(path: Path) -> None:
    title, empty, opening, *_ = path.read_text().splitlines()
    assert title.startswith("# ")
    assert empty == ""
    assert re.match(r"[A-Z]", opening)
