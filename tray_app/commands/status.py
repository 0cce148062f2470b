"""`lamplighter status`: how every account is, once or as it changes."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from tray_app import asking
from tray_app.commands.terminal import say
from tray_app.core.failure import plain
from tray_app.core.health import Health
from tray_app.core.words import account_line, watched_words

COLOURS = {
    Health.FRESH: "green",
    Health.ENDING: "yellow",
    Health.RETRYING: "yellow",
    Health.EXPIRED: "bright_red",
    Health.SIGN_IN_NEEDED: "red",
    Health.SIGNED_OUT: "bright_black",
}

NO_APPLET = "no applet is running"


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--watch", is_flag=True, help="Go on telling; in a pipe a line at each change.")
def status(*, as_json: bool, watch: bool) -> None:
    """Tell how every account is."""
    found = asking.status()
    if watch:
        if not found["running"]:
            say(f"{NO_APPLET}, so nothing is refreshed; start it: lamplighter")
        from tray_app.commands.watch import follow, show

        if as_json or not sys.stdout.isatty():
            follow(as_json=as_json)
        else:
            show(found["accounts"])
        return
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    watched = asking.watched_accounts()
    for account in found["accounts"]:
        click.echo(click.style(line_of(account, watched, now()), fg=COLOURS[Health(account["health"])]))
        if account["last_error"]:
            click.echo(f"  {plain(account['last_error']['message'], 500)}")
    if not found["accounts"]:
        say("there is no account yet; write one into the configuration: lamplighter config path")
    if found["configuration_error"]:
        say(found["configuration_error"])
    if not found["running"]:
        say(f"{NO_APPLET}; start it: lamplighter")


def line_of(account: dict[str, Any], watched: frozenset[str], now: datetime) -> str:
    """An account in a line: "work: fresh, 47 min left". `watched` are those whose tokens another program keeps."""
    name, health = account["name"], Health(account["health"])
    key = "sign_in_ends_at" if name in watched else "expires_at"
    ends_at = account[key] and datetime.fromisoformat(account[key])
    if name in watched:
        return f"{name}: {watched_words(health, ends_at, now)}"
    return account_line(name, health, ends_at, now)


def now() -> datetime:
    """The time by the wall clock."""
    from tray_app.clock import WallClock

    return WallClock().now().astimezone(UTC)
