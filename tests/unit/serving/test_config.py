"""The service's settings: defaults, files, what does not fit together, and the sample."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from karbor import config
from karbor.api.service import Limits
from karbor.model.errors import Invalid

KEYSTONE = """
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:5000
username = karbor
password = secret
project_name = service
"""


def test_the_defaults_are_those_of_the_api() -> None:
    found = config.settings([])
    limits = Limits()
    assert found.osapi_max_limit == limits.osapi_max_limit
    assert (found.min_interval, found.min_window_time, found.max_window_time) == (
        limits.min_interval, limits.min_window, limits.max_window,
    )  # fmt: skip
    assert limits.quotas == {
        "plans": found.quota_plans, "checkpoints": found.quota_checkpoints, "gigabytes": found.quota_gigabytes,
    }  # fmt: skip
    assert list(limits.restore_targets) == found.restore_targets
    assert found.osapi_karbor_listen_port == 8799


def test_later_files_win(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(f"[DEFAULT]\nquota_plans = 1\nosapi_max_limit = 7\n{KEYSTONE}")
    (tmp_path / "b.conf").write_text("[DEFAULT]\nquota_plans = 2\n[service_user]\nusername = trustee\n")
    found = config.settings([tmp_path / "a.conf", tmp_path / "b.conf"])
    assert (found.quota_plans, found.osapi_max_limit) == (2, 7)
    login = config.service_login(found)
    assert login == {
        "auth_url": "http://127.0.0.1:5000/v3", "username": "trustee", "password": "secret", "project_name": "service",
        "user_domain_name": "Default", "project_domain_name": "Default", "region": "", "cafile": None,
        "interface": "public", "vouch": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nosapi_max_limit = many\n", "osapi_max_limit"),
        ("[DEFAULT]\nosapi_max_limit = 0\n", "osapi_max_limit"),
        ("[DEFAULT]\nmin_window_time = 1800\n", "min_window_time"),
        ("[DEFAULT]\nmax_window_time = 3000\n", "min_interval"),
        ("[DEFAULT]\nrestore_targets = http://keystone/v3, file:///etc/passwd\n", "restore_targets"),
        ("nonsense\n", "karbor.conf"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "karbor.conf").write_text(text)
    with pytest.raises(Invalid, match=words):
        config.settings([tmp_path / "karbor.conf"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere"):
        config.settings([tmp_path / "nowhere.conf"])


def test_a_login_that_says_too_little() -> None:
    with pytest.raises(Invalid, match="auth_url, username, password, project_name"):
        config.service_login(config.settings([]))


def test_the_sample_names_every_option() -> None:
    command = [str(Path(sys.executable).with_name("oslo-config-generator")), "--namespace", "karbor"]
    sample = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for section, options in config.list_opts():
        assert f"[{section}]\n" in sample
        for option in options:
            assert f"\n#{option.dest} =" in sample, option.dest
