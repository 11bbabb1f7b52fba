"""Where the log goes: warnings to the terminal, more with `-v`, and to a file that the user names.

The libraries that talk to clouds are kept at warnings everywhere, because their debug logs hold tokens and bodies.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from pathlib import Path

import click

OURS = "karbor"
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Terminal(logging.Handler):
    """Writes to whatever standard error is at the moment: a progress bar puts itself in between while it is shown."""

    def __init__(self, *, verbose: bool, whole: bool) -> None:
        super().__init__(logging.DEBUG if verbose else logging.WARNING)
        self._whole = whole
        self.addFilter(logging.Filter(OURS))

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record) if self._whole else f"karbor: {record.getMessage()}", err=True)


class PrivateFile(logging.FileHandler):
    """A log file that only its owner may read."""

    def _open(self) -> io.TextIOWrapper:
        return os.fdopen(
            os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
        )


def set_up(*, verbose: bool, file: Path | None, service: bool = False) -> None:
    """Send the log of this process where the command line says. Raises OSError when the file cannot be written.

    A person at a terminal reads messages; of a `service` the terminal too shows when, how grave, and the traceback.
    """
    if not verbose:
        warnings.simplefilter("ignore")  # libraries' advice to programmers
    root = logging.getLogger()
    for old in [found for found in root.handlers if isinstance(found, (Terminal, PrivateFile))]:
        root.removeHandler(old)
        old.close()
    handlers: list[logging.Handler] = [Terminal(verbose=verbose, whole=verbose or service)]
    if file is not None:
        handlers.append(PrivateFile(file))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(LINE))
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(logging.DEBUG if verbose else logging.INFO)
