"""`lamplighter secret`: stores client secrets in the keyring, never in a file or an argument."""

from __future__ import annotations

import sys

import click

from tray_app.cli import client as asking
from tray_app.cli.commands.terminal import ACCOUNT
from tray_app.core.tokens import Secret

WORDS = {
    "keyring": "in the keyring",
    "memory": 'in the memory of the applet, and ends with it: the configuration says store = "memory"',
}


@click.group("secret")
def secret() -> None:
    """Client secrets, kept in the keyring."""


@secret.command("set")
@ACCOUNT
def set_secret(account: str) -> None:
    """Keep the client secret of an account. It is read from stdin, or asked for."""
    if sys.stdin.isatty():
        text = str(click.prompt(f"Client secret of {account}", hide_input=True, err=True))
    else:
        text = sys.stdin.read()
    text = text.strip("\r\n")
    if not text or not text.isprintable():
        raise click.UsageError("There is no client secret in what was read: one line is wanted.")
    where = WORDS[asking.set_client_secret(account, Secret(text))]
    click.echo(f"lamplighter: {account}: the client secret is {where}", err=True)
