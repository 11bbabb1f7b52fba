"""The command line before anything is done: help, usage, choices before and after the command, what is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from karbor import main
from karbor.cli.choices import Choices, Command, common, outermost
from karbor.cli.tables import plain


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command that there is, as it is typed."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*prefix, name))
        if isinstance(command, click.Group):
            found.extend(commands(command, (*prefix, name)))
    return found


ALL = commands(main.karbor)


def test_all_commands_are_there() -> None:
    assert {" ".join(words) for words in ALL} >= {
        "protect", "restore", "verify", "sandbox", "completion", "protectable list", "protectable show",
        "checkpoint list", "checkpoint show", "checkpoint delete", "checkpoint verify", "checkpoint import",
        "checkpoint prune", "operation list", "operation show", "operation cancel", "operation resume",
        "operation rollback",
    }  # fmt: skip


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_and_the_common_options(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage: karbor " + " ".join(words) in shown
    if "COMMAND" not in shown and words != ("demo",):  # the demo has a state folder and a cloud of its own
        for name in ("--state", "--cloud, --os-cloud", "--format", "--verbose", "--log-file"):
            assert name in shown


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["protect"],
        ["protect", "server"],
        ["protect", "server/"],
        ["restore"],
        ["restore", "id", "--surroundings", "some"],
        ["restore", "id", "--on-failure", "panic"],
        ["protect", "volume/data", "--option", "volume"],
        ["checkpoint", "prune"],
        ["checkpoint", "prune", "--keep", "0"],
        ["checkpoint", "list"],
        ["operation", "list"],
        ["--format", "xml", "checkpoint", "list"],
        ["sandbox", "--port", "70000"],
        ["sandbox", "--delay", "-1"],
        ["--state", __file__, "operation", "list"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    assert main.run(["--state", str(state), *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "Error: " in told.err
    assert not state.exists()


def choices_of(words: list[str]) -> Choices:
    """What a command sees of `words`."""
    seen: list[Choices] = []

    @click.group()
    @outermost
    def group() -> None: ...

    @group.command(cls=Command)
    @common
    @click.pass_obj
    def leaf(choices: Choices) -> None:
        seen.append(choices)

    group.main(words, standalone_mode=False)
    return seen[0]


def test_choices_may_stand_before_or_after_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OS_CLOUD", raising=False)
    monkeypatch.delenv("KARBOR_STATE", raising=False)
    assert choices_of(["leaf"]) == Choices()
    assert choices_of(["--cloud", "a", "leaf"]).cloud == "a"
    assert choices_of(["leaf", "--os-cloud", "b"]).cloud == "b"
    assert choices_of(["--cloud", "a", "-f", "json", "leaf", "--cloud", "b"]) == Choices(cloud="b", format="json")


def test_the_environment_counts_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLOUD", "env")
    monkeypatch.setenv("KARBOR_STATE", "/env")
    assert choices_of(["leaf"]) == Choices(state=Path("/env"), cloud="env")
    assert choices_of(["--cloud", "a", "leaf"]).cloud == "a"
    assert choices_of(["leaf", "--cloud", "b", "--state", "/b"]) == Choices(state=Path("/b"), cloud="b")


def test_help_and_completion_import_nothing_that_takes_long() -> None:
    program = (
        "import sys; from karbor.main import run; run(['restore', '--help']);"
        "print([name for name in ('openstack', 'sqlalchemy', 'keystoneauth1', 'cheroot') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_shells_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["completion", shell]) == 0
    assert f"_KARBOR_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_what_steers_a_terminal_is_made_visible() -> None:
    assert plain("web\x1b[2J\r\n\u202eb") == "web\\x1b[2J\\r\\n\\u202eb"
    assert plain("сервер-1 [red]") == "сервер-1 [red]"


def test_the_log_file_is_private_and_holds_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "karbor.log"
    words = ["--state", str(tmp_path / "none"), "--log-file", str(log), "-v", "checkpoint", "show", "unknown"]
    assert main.run(words) == 1
    assert log.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in log.read_text()
    assert "Traceback" in capsys.readouterr().err
    assert main.run(["--state", str(tmp_path / "none"), "checkpoint", "show", "unknown"]) == 1
    assert capsys.readouterr().err == "karbor: there is no checkpoint unknown; `karbor checkpoint list` shows them\n"
    assert not (tmp_path / "none").exists()
