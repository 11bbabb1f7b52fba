"""Shell completion: the script that a shell loads, and the ids of this state folder as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from karbor.cli.choices import Choices, Command, common
from karbor.cli.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

VARIABLE = "_KARBOR_COMPLETE"
EXAMPLES = """\b
Examples:
  karbor completion bash > ~/.local/share/bash-completion/completions/karbor
  karbor completion fish > ~/.config/fish/completions/karbor.fish
"""


@click.command(cls=Command, epilog=EXAMPLES, short_help="Print the shell completion.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes `karbor` in SHELL."""
    found = get_completion_class(shell)
    assert found is not None, "click completes for the shells that are offered"
    click.echo(found(ctx.find_root().command, {}, "karbor", VARIABLE).source())


def checkpoint_ids(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Checkpoints of the state folder."""
    from karbor.store import checkpoints

    rows = checkpoints.rows(Workplace(ctx.ensure_object(Choices)).database)
    return _items(((row["id"], row["plan"]["name"]) for row in rows), incomplete)


def operation_ids(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Operations of the state folder."""
    from karbor.store import operations

    rows: Iterable[Mapping[str, Any]] = operations.rows(Workplace(ctx.ensure_object(Choices)).database)
    return _items(((row["id"], f"{row['operation_type']} {row['status']}") for row in rows), incomplete)


def _items(found: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(id, help=text) for id, text in found if id.startswith(incomplete)]
