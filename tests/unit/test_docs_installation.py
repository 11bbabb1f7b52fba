"""docs/installation.md and the DevStack plug-in name commands, options, keys and paths that exist, and need no more."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from doc_text import ROOT, blocks, commands, read, spans
from oslo_policy import opts as policy_options
from test_no_heat import mentions

from karbor import config, main, notifier
from karbor.api import policy
from karbor.engine.worker import TRIES
from karbor.serving import manage, programs, status
from karbor.store import upkeep

TEXT = read("docs/installation.md")
PLUGIN, SETTINGS = read("devstack/plugin.sh"), read("devstack/settings")
PROGRAMS: dict[str, click.Command] = {
    "karbor-manage": manage.manage,
    "karbor-status": status.status,
    "karbor-api": programs._api,
    "karbor-engine": programs._engine,
}
AS_SERVICE = ["runuser", "-u", "karbor", "--"]
OPENSTACK = {"mysql", "keystone", "cinder", "glance", "nova", "neutron"}


def parse(program: str, words: list[str]) -> click.Context:
    """Take a command line apart without running it. Raises ClickException."""
    command = PROGRAMS[program]
    context, rest = click.Context(command, info_name=program), list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        if found is None:
            raise click.UsageError(f"there is no command {rest[0]!r}")
        command = found
        context = click.Context(command, parent=context, info_name=rest.pop(0))
    return command.make_context(str(context.info_name), rest, parent=context.parent)


def typed_in_the_guide() -> list[list[str]]:
    told = [*commands(TEXT), *commands(read("docs/operations.md"))]
    lines = [words[4:] if words[:4] == AS_SERVICE else words for words in told]
    for unit in blocks(TEXT, "ini"):
        lines += [shlex.split(found) for found in re.findall(r"^ExecStart=/opt/karbor/bin/(.*)$", unit, re.MULTILINE)]
    return [words for words in lines if words and words[0] in PROGRAMS]


def typed_by_the_plugin() -> list[list[str]]:
    joined = PLUGIN.replace("\\\n", " ")
    lines = re.findall(r'"\$KARBOR_BIN_DIR/(karbor-\w+)" (.*)', joined)
    return [[program, *shlex.split(rest)] for program, rest in lines]


@pytest.mark.parametrize("words", typed_in_the_guide() + typed_by_the_plugin(), ids=" ".join)
def test_each_program_takes_what_is_typed(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "karbor.conf").write_text("")
    there = [str(tmp_path / "karbor.conf") if word == "$KARBOR_CONF" else word for word in words[1:]]
    assert parse(words[0], there).command_path


def test_all_programs_are_named_and_installed() -> None:
    installed = {point.name for point in entry_points(group="console_scripts") if point.value.startswith("karbor.")}
    assert installed == {*PROGRAMS, "karbor"}
    named = {words[0] for words in typed_in_the_guide()}
    assert named == set(PROGRAMS)
    started = set(re.findall(r"run_process (karbor-\w+) \"\$KARBOR_BIN_DIR/(karbor-\w+) ", PLUGIN))
    assert started == {("karbor-api", "karbor-api"), ("karbor-engine", "karbor-engine")}


def known_keys() -> set[tuple[str, str]]:
    found = {(section, option.dest) for section, options in config.list_opts() for option in options}
    return found | {("oslo_policy", option.dest) for _, options in policy_options.list_opts() for option in options}


def test_every_key_of_the_configuration_is_there(tmp_path: Path) -> None:
    text = next(block for block in blocks(TEXT, "ini") if "[database]" in block)
    shown = configparser.ConfigParser(interpolation=None)
    shown.optionxform = str  # type: ignore[assignment,method-assign]
    shown.read_string(text)
    keys = {(section, key) for section in (*shown.sections(), "DEFAULT") for key in shown[section]}
    keys = {(section, key) for section, key in keys if section == "DEFAULT" or key not in shown["DEFAULT"]}
    assert len(keys) == 7
    assert keys <= known_keys()
    set_by_the_plugin = set(re.findall(r'iniset "\$KARBOR_CONF" (\w+) (\w+) ', PLUGIN))
    assert len(set_by_the_plugin) == PLUGIN.count("iniset ")
    assert set_by_the_plugin <= known_keys()
    named = {code for code in spans(TEXT) if code in ("cafile", "memcached_servers", "osapi_karbor_base_URL")}
    assert named and named <= {key for _, key in known_keys()}
    (tmp_path / "karbor.conf").write_text(text)
    assert config.settings([tmp_path / "karbor.conf"]).osapi_karbor_listen_port == config.PORT


def test_the_settings_of_notifications_are_used(tmp_path: Path) -> None:
    (text,) = [block for block in blocks(TEXT, "ini") if f"[{notifier.SECTION}]" in block]
    (tmp_path / "karbor.conf").write_text(text)
    found = config.settings([tmp_path / "karbor.conf"])[notifier.SECTION]
    assert (found.driver, found.topics) == (["messagingv2"], ["notifications"])
    assert found.transport_url.startswith("rabbit://")


def test_the_plugins_times_are_allowed(tmp_path: Path) -> None:
    values = dict(re.findall(r"KARBOR_(MIN_INTERVAL|MIN_WINDOW|MAX_WINDOW):-(\d+)", SETTINGS))
    names = {"MIN_INTERVAL": "min_interval", "MIN_WINDOW": "min_window_time", "MAX_WINDOW": "max_window_time"}
    text = "".join(f"{names[name]} = {value}\n" for name, value in values.items())
    (tmp_path / "karbor.conf").write_text(f"[DEFAULT]\n{text}")
    assert config.settings([tmp_path / "karbor.conf"]).min_interval == int(values["MIN_INTERVAL"])


def test_defaults_that_are_told() -> None:
    settings = config.settings([])
    for path in (settings.state_path, settings.provider_config_dir, settings.secret_key_file):
        assert path in TEXT
    assert str(manage.CREDENTIALS) in TEXT
    assert programs.FILES in spans(TEXT)
    assert upkeep.LONGEST_DAYS > 90


def test_the_application_is_where_servers_look() -> None:
    found = re.findall(r"'karbor\.main:(\w+)\(\)'", TEXT)
    assert found == ["wsgi"]
    assert callable(getattr(main, found[0]))


def generated(program: str, group: str) -> list[object]:
    """What a generator makes its sample of, of all namespaces that the guide names to it."""
    (line,) = re.findall(rf"^{program} (.*)$", TEXT, re.MULTILINE)
    names = re.findall(r"--namespace (\S+)", line)
    points = {point.name: point for point in entry_points(group=group)}
    return [item for name in names for item in points[name].load()()]


def test_the_sample_of_the_policy_has_all_rules() -> None:
    assert generated("oslopolicy-sample-generator", "oslo.policy.policies") == list(policy.list_rules())


def test_the_sample_of_the_configuration_has_all_sections() -> None:
    sections = {item[0] for item in generated("oslo-config-generator", "oslo.config.opts") if isinstance(item, tuple)}
    assert sections == {section for section, _ in known_keys()}


def test_the_old_rules_are_kept_as_it_is_told() -> None:
    assert "`enforce_new_defaults = false`" in TEXT
    assert ("oslo_policy", "enforce_new_defaults") in known_keys()


@pytest.mark.parametrize("name", ["plugin.sh", "settings"])
def test_the_plugin_is_a_shell_script(name: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / "devstack" / name)], check=True, timeout=60)


def test_every_variable_of_the_plugin_is_set() -> None:
    used = set(re.findall(r"\$\{?(KARBOR_\w+)", PLUGIN + SETTINGS))
    assert used == set(re.findall(r"^(KARBOR_\w+)=", SETTINGS, re.MULTILINE))


@pytest.mark.parametrize("text", [TEXT, PLUGIN, SETTINGS], ids=["guide", "plugin", "settings"])
def test_nothing_more_is_installed_or_enabled(text: str) -> None:
    assert mentions(text) == []
    enabled = {
        word for line in re.findall(r"(?:enable_service|ENABLED_SERVICES\+?=)(.*)", text) for word in line.split()
    }
    assert {word.strip("`,") for word in enabled} <= {"karbor-api", "karbor-engine", "c-bak"}
    needed = {word for line in re.findall(r"plugin_requires karbor(.*)", text) for word in line.split()}
    assert needed <= OPENSTACK
    installed = {word for line in re.findall(r"(?:pip_install|pip install) (.*)", text) for word in line.split()}
    files = {"--constraint", "constraints.txt", "constraints-clients.txt", "."}
    assert installed - files <= {"PyMySQL", "gunicorn", "python-karborclient", "python-openstackclient"}
    assert not re.search(r"apt(-get)? |dnf |yum |install_package", text)


def test_mistakes_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        parse("karbor-manage", ["db", "synch"])
    with pytest.raises(click.UsageError):
        parse("karbor-manage", ["register", "--os-cloud", "x", "--url", "http://x", "--role", "y"])


def test_how_often_the_unforeseen_is_tried() -> None:
    assert f"is tried {TRIES} times" in " ".join(TEXT.split())
