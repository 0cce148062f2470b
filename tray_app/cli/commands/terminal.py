"""What commands share: messages on stderr, and completion of account names."""

from __future__ import annotations

from contextlib import suppress

import click

from tray_app.base.paths import places
from tray_app.core.failure import printable


def say(words: str) -> None:
    """Prints to stderr, without what a terminal would act on; stdout is for results only."""
    click.echo(printable(f"lamplighter: {words}"), err=True)


def account_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The accounts whose names begin so: those of the applet behind a named socket, else those configured here."""
    from tray_app.core.errors import LamplighterError

    names = list[str]()
    with suppress(LamplighterError):  # completion has no place to show an error
        here = places()
        if here.named_socket is not None:
            from tray_app.interfaces.agent.client import AgentClient

            found = AgentClient(here.socket).ask("GET", "/v1/status", seconds=2)
            names = [account["name"] for account in found["accounts"]]
        else:
            from tray_app.adapters.config import parser as config

            names = list(config.load(here.config_file).accounts)
    return [name for name in names if name.startswith(incomplete)]


ACCOUNT = click.argument("account", shell_complete=account_names)
"""The argument that most commands take."""
