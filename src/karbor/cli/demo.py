"""`karbor demo`: an application built, protected, lost, restored and compared before one's eyes."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import click

from karbor.cli.choices import Command

SANDBOX = "sandbox"
PREFIX = "karbor-demo-"

EXAMPLES = """\b
Examples:
  karbor demo                                      on a sandbox of its own, which is gone afterwards
  karbor demo --state ~/shop --keep                the same, to look around in later
  karbor demo --cloud prod                         in a project of a real cloud, which is cleaned up afterwards
"""


@click.command(cls=Command, epilog=EXAMPLES)
@click.option(
    "--state", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="The state folder.  [default: a fresh one among the temporary files]",
)  # fmt: skip
@click.option("--cloud", metavar="NAME", help="A cloud of clouds.yaml.  [default: a sandbox that the demo starts]")
@click.option("--keep", is_flag=True, help="Leave the restored application and the checkpoint where they are.")
def demo(state: Path | None, cloud: str | None, keep: bool) -> int:
    """Build an application, protect it, delete everything, restore it, and compare.

    A web server on an image and a database server on volumes, with their networks, router, security groups, key pair
    and floating IP, and megabytes of random bytes. What comes back is compared attribute by attribute and byte by
    byte; the exit status is 0 only when all is equal. Needs no more rights than a member of the project has.
    """
    from karbor.demo.sandbox_process import sandbox
    from karbor.demo.story import Story

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the sandbox is stopped too
    folder = state.absolute() if state else Path(tempfile.mkdtemp(prefix=PREFIX))
    equal = False
    try:
        with nullcontext() if cloud else sandbox(folder):
            story = Story(folder, cloud or SANDBOX, prefix=PREFIX if cloud else "", guests=bool(cloud))
            try:
                equal = story.tell()
            finally:
                if cloud and not keep:
                    story.clean()
    finally:
        if equal and not state and not keep:
            shutil.rmtree(folder)
        else:
            click.echo(f"The state is in {folder}", err=True)
    return 0 if equal else 1
