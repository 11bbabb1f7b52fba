"""The command `karbor`: puts the commands together and turns what they raise into one line and an exit status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from karbor.cli.checkpoints import checkpoint, verify
from karbor.cli.choices import outermost
from karbor.cli.completion import completion
from karbor.cli.demo import demo
from karbor.cli.operations import operation
from karbor.cli.protect import protect
from karbor.cli.protectables import protectable
from karbor.cli.restore import restore
from karbor.cli.sandbox import sandbox
from karbor.cli.serve import Serve
from karbor.cli.serve import command as serve_command
from karbor.cli.tables import plain
from karbor.model.errors import KarborError

if TYPE_CHECKING:
    from karbor.config import WSGIApp

LOG = logging.getLogger(__name__)

EXAMPLES = """\b
Examples:
  karbor demo                                      see it lose an application and bring it back
  karbor sandbox &                                 a cloud to try it on
  karbor protect --cloud sandbox server/web        save a server with all that it needs
  karbor checkpoint list --cloud sandbox
  karbor restore --cloud sandbox CHECKPOINT --dry-run
  karbor operation show                            what the last one did, and how to undo it

\b
Exit status: 0 all good; 1 failed, also after a clean rollback; 2 wrong usage; 3 a part is good;
130 after Ctrl-C (once cancels, twice leaves the operation to be resumed).
"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@outermost
@click.version_option(package_name="karbor-service", prog_name="karbor")
def karbor() -> None:
    """Protect OpenStack applications: servers with their volumes, images and networks, and bring them back."""


def _serve() -> Serve:
    from karbor.serving.embedded import serve  # takes long to import

    return serve


serve = serve_command(_serve)

for command in (protect, restore, verify, checkpoint, operation, protectable, serve, sandbox, demo, completion):
    karbor.add_command(command)


def wsgi() -> WSGIApp:
    """The API as an application, for a server such as gunicorn: `gunicorn 'karbor.main:wsgi()'`.

    Its configuration files are those in /etc/karbor, or those that KARBOR_CONFIG_FILES names.
    """
    from karbor.serving.programs import wsgi

    return wsgi()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; its exit status."""
    try:
        return karbor.main(arguments, prog_name="karbor", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except (KarborError, OSError) as error:
        LOG.debug("the command failed", exc_info=error)
        message = f"{error}{getattr(error, 'hint', '')}"
        click.echo(f"karbor: {plain(' '.join(message.split()))}", err=True)
        return 1


def main() -> None:
    """The console script."""
    sys.exit(run())
