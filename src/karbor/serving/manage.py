"""The command `karbor-manage`: what an operator does to the database, to banks and to Keystone."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from karbor import config
from karbor.cloud.connection import Cloud
from karbor.model.errors import KarborError
from karbor.providers import find_provider, load_providers
from karbor.serving.choices import config_file, run
from karbor.serving.registration import enter_endpoints, enter_user
from karbor.store import upkeep
from karbor.store.database import open_database
from karbor.testing.bank_checks import NotPromised, try_all

CREDENTIALS = Path("/etc/karbor/karbor.conf.d/keystone.conf")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="karbor-service", prog_name="karbor-manage")
def manage() -> None:
    """Look after Karbor's database and banks, and make the service known to Keystone."""
    logging.getLogger("alembic").setLevel(logging.WARNING)


@manage.group()
def db() -> None:
    """The database that the configuration names."""


@db.command()
@config_file
def sync(files: tuple[Path, ...]) -> None:
    """Bring the database to this version's schema; an empty one gets its tables."""

    def program() -> None:
        address = config.settings(files or None).database.connection
        before = upkeep.current(address)
        open_database(address).dispose()
        after = upkeep.newest()
        click.echo(
            f"schema {after}: is there" if before == after else f"schema {after}: made from {before or 'nothing'}"
        )

    run(program, "karbor-manage")


@db.command()
@config_file
def version(files: tuple[Path, ...]) -> None:
    """Print the schema of the database."""
    run(
        lambda: click.echo(upkeep.current(config.settings(files or None).database.connection) or "none"),
        "karbor-manage",
    )


@db.command()
@click.argument("days", type=click.IntRange(0, upkeep.LONGEST_DAYS))
@config_file
def purge(days: int, files: tuple[Path, ...]) -> None:
    """Forget what ended DAYS days ago or earlier: deleted checkpoints, and what was done to those that are there."""

    def program() -> None:
        address = config.settings(files or None).database.connection
        upkeep.check(address)
        for table, number in upkeep.purge(open_database(address), days).items():
            click.echo(f"{table}: {number} removed")

    run(program, "karbor-manage")


@manage.group()
def bank() -> None:
    """The banks of the providers that the configuration names."""


@bank.command("check")
@click.argument("provider")
@config_file
def check_bank(provider: str, files: tuple[Path, ...]) -> None:
    """Try on the bank of PROVIDER (name or id) all that a bank has to keep. Exit status 1: something is not kept.

    What is written lies below a folder check-... of its own, which is removed. An empty bank gets its label before.
    """

    def program() -> None:
        settings = config.settings(files or None)
        providers = load_providers(Path(settings.state_path), Path(settings.provider_config_dir))
        archive = find_provider(providers, provider).archive
        archive.claim()
        broken = 0
        for promise, wrong in try_all(archive.bank):
            if wrong is None:
                click.echo(f"kept: {promise}")
            elif isinstance(wrong, NotPromised):
                click.echo(f"not promised: {promise}: {wrong}")
            else:
                broken += 1
                click.echo(f"BROKEN: {promise}: {' '.join(str(wrong).split()) or type(wrong).__name__}")
        if broken:
            raise KarborError(
                f"the bank at {archive.bank.properties.location} breaks {broken} promises; keep no checkpoints in it"
            )

    run(program, "karbor-manage")


@manage.command()
@click.option("--os-cloud", "cloud", envvar="OS_CLOUD", required=True, help="An administrator's cloud of clouds.yaml.")
@click.option("--url", required=True, help="The API's address up to its port or prefix, such as http://HOST:8799.")
@click.option("--region", default=None, help="The region of the endpoints.  [default: the cloud's]")
@click.option("--user", default="karbor", show_default=True, help="The user as which the service logs in.")
@click.option("--project", default="service", show_default=True, help="The project of services.")
@click.option(
    "--credentials", type=click.Path(dir_okay=False, path_type=Path), default=CREDENTIALS, show_default=True,
    help="The file that a new user's password is written to, mode 0600; a part of the configuration.",
)  # fmt: skip
@click.option("--new-password", is_flag=True, help="Give a user who is there a new password, and write it.")
def register(
    cloud: str, url: str, region: str | None, user: str, project: str, credentials: Path, new_password: bool
) -> None:
    """Enter the service, its endpoints and its user in Keystone, or change what is not as it should be."""
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url!r} does not begin with http:// or https://", param_hint="--url")

    def program() -> None:
        admin = Cloud.connect(cloud)
        for line in enter_endpoints(admin, url, region or admin.region):
            click.echo(line)
        for line in enter_user(admin, user, project, credentials, new_password=new_password):
            click.echo(line)

    run(program, "karbor-manage")


def main() -> None:
    """The console script."""
    manage(prog_name="karbor-manage")
