"""`lamplighter completion`: a script for the shell, which asks us for words and for the names of accounts."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, ShellComplete, get_completion_class

from tray_app.core.errors import LamplighterError

VARIABLE = "_LAMPLIGHTER_COMPLETE"


class _Bash(BashComplete):
    """Bash without click's version check, which would start a bash; any since 4.4 works."""

    @staticmethod
    def _check_version() -> None:
        pass


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script. For bash: source <(lamplighter completion bash)"""
    kind: type[ShellComplete] | None = _Bash if shell == "bash" else get_completion_class(shell)
    if kind is None:
        raise LamplighterError(f"this version of click has no completion for {shell}")
    click.echo(kind(context.find_root().command, {}, "lamplighter", VARIABLE).source())
