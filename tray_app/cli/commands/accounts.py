"""`lamplighter accounts`: add, list, remove. The file keeps its comments."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from tray_app.base.paths import places
from tray_app.bootstrap import first_look
from tray_app.cli import client as asking
from tray_app.cli.commands.terminal import say

if TYPE_CHECKING:
    from tray_app.adapters.config.editor import Draft

_CONSENT = {"authorization_parameters": {"prompt": "consent"}}

TAKEN_UP_SECONDS = 5.0
"""How long a running applet may take to know the account; .github/CONTRACT.md gives it three (section 3)."""


@click.group("accounts")
def accounts() -> None:
    """The accounts in the configuration."""


@accounts.command("add")
@click.argument("name")
@click.option("--issuer", metavar="URL", help="The authorization server, found by its metadata.")
@click.option("--preset", metavar="NAME", help="github, gitlab, google, microsoft or claude-code.")
@click.option("--resource", metavar="URL", help="An MCP server or another API that names its authorization server.")
@click.option("--client-id", metavar="ID", help="As your provider gave it; where it registers clients, none is needed.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="Asked for at sign-in. May be repeated.")
@click.option("--tenant", metavar="TENANT", help="The directory, with --preset microsoft.")
@click.option("--redirect-uri", metavar="URL", help="Where the provider demands another one than any loopback port.")
def add(name: str, scopes: tuple[str, ...], **options: str | None) -> None:
    """Add an account, after a look at its provider."""
    if not any(options[one] for one in ("issuer", "preset", "resource")):
        raise click.UsageError("Say where to sign in: --issuer URL, --preset NAME or --resource URL.")
    values: dict[str, Any] = {
        "provider": options["preset"],
        **{key: options[key] for key in ("tenant", "issuer", "resource", "client_id", "redirect_uri")},
        "scopes": list(scopes),
    }
    draft = _draft(name, values)
    found = first_look(draft.account)
    if found.scopes:
        draft = _draft(name, {**values, "scopes": list(found.scopes), **(_CONSENT if found.wants_consent else {})})
    draft.save()
    say(f"{name}: added to {places().config_file}")
    if found.unreachable:
        say(f"{name}: its provider could not be asked yet: {found.unreachable}")
    _wait_for_applet(name)
    _offer_sign_in(name)


@accounts.command("list")
def list_accounts() -> None:
    """Tell which accounts there are, and where each signs in."""
    from tray_app.adapters.config import parser as config

    for account in config.load(places().config_file).accounts.values():
        endpoint = account.endpoints.authorization if account.endpoints else None
        where = account.resource or account.issuer or account.provider or endpoint
        click.echo(f"{account.name}\t{where}")


@accounts.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Sign out, forget the account's client, and take the account out of the configuration."""
    from tray_app.adapters.config.editor import without_account

    draft = without_account(places().config_file, name)
    if asking.keeps_tokens():
        unrevoked = asking.sign_out(name)
        asking.forget(name)
        say(f"{name}: signed out here; {unrevoked or 'the provider has revoked the sign-in'}")
    draft.save()
    say(f"{name}: removed from {places().config_file}")


def _draft(name: str, values: dict[str, Any]) -> Draft:
    from tray_app.adapters.config.editor import WrongRequest, with_account

    try:
        return with_account(places().config_file, name, {key: value for key, value in values.items() if value})
    except WrongRequest as error:
        raise click.UsageError(str(error)) from error


def _wait_for_applet(name: str) -> None:
    """Waits until a running applet knows the account: the next command may be a script's login."""
    from tray_app.interfaces.agent.client import AgentClient

    applet, moment = AgentClient(places().socket), threading.Event()
    for _ in range(int(TAKEN_UP_SECONDS / 0.05)):
        if not applet.alive() or any(one["name"] == name for one in applet.ask("GET", "/v1/status")["accounts"]):
            return
        moment.wait(0.05)


def _offer_sign_in(name: str) -> None:
    """Asks on a terminal only."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say(f"sign in: lamplighter login {name}")
    elif click.confirm(f"Sign in to {name} now?", default=True, err=True):
        from tray_app.cli.commands.login import sign_in_at_terminal

        sign_in_at_terminal(name)
