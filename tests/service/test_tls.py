"""A cloud behind TLS with an authority of its own: service and commands trust it where they are told to."""

from __future__ import annotations

import datetime
import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from karbor import config, main
from karbor.cloud.access import find_region
from karbor.cloud.connection import Cloud
from karbor.cloud.networks import NETWORK
from karbor.model.errors import Invalid, Unclear
from karbor.providers import OS_INFRA
from karbor.sandbox import Sandbox
from karbor.sandbox.server import Application
from karbor.serving.http import Server
from karbor.serving.parts import Parts
from karbor.store.database import open_database

PATIENCE = 60.0
Key = ec.EllipticCurvePrivateKey


def certificate(name: str, key: Key, signer: tuple[str, Key] | None = None) -> bytes:
    """A certificate for 127.0.0.1 and localhost from a signer, or of an authority where there is none."""
    now = datetime.datetime.now(datetime.UTC)
    issuer, issuer_key = signer or (name, key)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@dataclass
class Place:
    """A sandbox with a door of TLS in a folder."""

    folder: Path
    url: str
    authority: str

    def clouds(self, **more: str) -> None:
        """Let clouds.yaml lead through the door of TLS."""
        file = self.folder / "clouds.yaml"
        plain = find_region("sandbox", self.folder).config["auth"]["auth_url"].removesuffix("/identity/v3")
        lines = "".join(f"    {name}: {value}\n" for name, value in more.items())
        text = file.read_text().replace(plain, self.url)
        file.write_text(text.replace("    auth_type: password\n", f"    auth_type: password\n{lines}"))

    def settings(self, **token: str) -> Any:
        login = find_region("sandbox-service", self.folder).config["auth"]
        auth = {**login, "auth_url": f"{self.url}/identity/v3", "region_name": "sandbox"}
        return config.settings(
            [],
            {
                "DEFAULT": {
                    "state_path": str(self.folder),
                    "provider_config_dir": str(self.folder / "providers.d"),
                    "secret_key_file": str(self.folder / "secret.key"),
                    "restore_targets": [f"{self.elsewhere}/identity/v3"],
                },
                "database": {"connection": f"sqlite:///{self.folder / 'karbor.db'}"},
                config.AUTH_TOKEN: {"auth_type": "password", "www_authenticate_uri": auth["auth_url"], **auth, **token},
            },
        )

    @property
    def elsewhere(self) -> str:
        """The same by another name."""
        return self.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = tmp_path / "authority.pem"
    authority.write_bytes(certificate("an authority of our own", own))
    (tmp_path / "server.pem").write_bytes(certificate("cloud", key, ("an authority of our own", own)))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "server.key").write_bytes(key.private_bytes(*pem))
    with Sandbox(tmp_path / "state") as sandbox:
        door = wsgi.Server(("127.0.0.1", 0), Application(sandbox.state), numthreads=8)
        door.ssl_adapter = BuiltinSSLAdapter(str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
        door.error_log = lambda *_, **__: None  # clients that do not trust it are what is tested
        door.prepare()
        thread = threading.Thread(target=door.serve, daemon=True)
        thread.start()
        yield Place(tmp_path / "state", f"https://127.0.0.1:{door.bind_addr[1]}", str(authority))
        door.stop()
        thread.join()


@contextmanager
def served(settings: Any) -> Iterator[str]:
    """The whole service in this process; its API's address."""
    open_database(settings.database.connection).dispose()
    parts = Parts(settings)
    workforce = parts.workforce()
    server = Server(parts.application(workforce.conductor.wake), "127.0.0.1", 0, 4)
    workforce.start()
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
        workforce.stop()
        parts.close()


def test_the_service_works_in_a_cloud_with_an_authority_of_its_own(place: Place) -> None:
    place.clouds(cacert=place.authority)
    cloud = Cloud.connect("sandbox", state=place.folder)
    network = NETWORK.post(cloud, {"name": "front"})
    token = {"X-Auth-Token": str(cloud._session.get_token())}
    with served(place.settings(cafile=place.authority)) as url:

        def ask(method: str, path: str, body: Any = None) -> Any:
            address = f"{url}/v1/{cloud.project_id}{path}"
            answer = requests.request(method, address, json=body, headers=token, timeout=PATIENCE)
            assert answer.status_code == 200, answer.text
            return answer.json()

        def ended(path: str, key: str) -> Any:
            deadline = time.monotonic() + PATIENCE
            while (found := ask("GET", path)[key])["status"] in ("protecting", "in_progress"):
                assert time.monotonic() < deadline, found
                time.sleep(0.05)
            return found

        resource = {"type": NETWORK.type, "id": network, "name": "front"}
        plan = {"name": "front", "provider_id": OS_INFRA, "resources": [resource], "parameters": {}}
        id = ask("POST", "/plans", {"plan": plan})["plan"]["id"]
        path = f"/providers/{OS_INFRA}/checkpoints"
        checkpoint = ask("POST", path, {"checkpoint": {"plan_id": id}})["checkpoint"]["id"]
        assert ended(f"{path}/{checkpoint}", "checkpoint")["status"] == "available"
        login = find_region("sandbox-b", place.folder).config["auth"]
        run = {
            "provider_id": OS_INFRA, "checkpoint_id": checkpoint, "parameters": {},
            "restore_target": f"{place.elsewhere}/identity/v3",
            "restore_auth": {name: login[name] for name in ("username", "password", "project_name")},
        }  # fmt: skip
        restore = ended(f"/restores/{ask('POST', '/restores', {'restore': run})['restore']['id']}", "restore")
        assert (restore["status"], restore["reason"]) == ("success", "")
        instances = ask("GET", f"/protectables/{NETWORK.type}/instances")["instances"]
        assert network in {instance["id"] for instance in instances}


def test_a_command_trusts_the_authority_that_clouds_yaml_names(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = ["protectable", "list", "network", "--cloud", "sandbox", "--state", str(place.folder)]
    place.clouds()
    assert main.run(listing) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "certificate verify failed" in line and "`cacert` of a cloud in clouds.yaml" in line
    place.clouds(cacert=place.authority)
    assert main.run(listing) == 0
    capsys.readouterr()
    Path(place.authority).write_text("no certificate")
    assert main.run(listing) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert place.authority in line and "cannot be read" in line
    Path(place.authority).unlink()
    assert main.run(listing) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert place.authority in line and "No such file" in line


def test_a_service_that_is_not_told_of_the_authority_says_so(place: Place) -> None:
    place.clouds(cacert=place.authority)
    cloud = Cloud.connect("sandbox", state=place.folder)
    caller = str(cloud._session.get_token())
    delegation = Parts(place.settings()).delegation
    with pytest.raises(Unclear, match=r"certificate verify failed.*`cafile` of the service"):
        delegation.by_token(caller, cloud.project_id)
    with served(place.settings()) as url:
        address, token = f"{url}/v1/{cloud.project_id}/plans", {"X-Auth-Token": caller}
        assert requests.get(address, headers=token, timeout=PATIENCE).status_code == 503


@pytest.mark.parametrize("section", [config.AUTH_TOKEN, "service_user"])
def test_a_file_that_is_not_there_keeps_the_service_from_starting(place: Place, section: str) -> None:
    settings = place.settings(cafile=place.authority)
    open_database(settings.database.connection).dispose()
    settings.set_override("cafile", "/nowhere/authority.pem", group=section)
    with pytest.raises(Invalid, match=r"/nowhere/authority.pem cannot be read: .*No such file"):
        Parts(settings).application()
