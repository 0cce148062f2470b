"""`lamplighter status`: how every account is, once or as it changes."""

from __future__ import annotations

import json
import sys

import click

from tray_app.cli import client as asking
from tray_app.cli.commands.account_lines import COLOURS, line_of, now
from tray_app.cli.commands.terminal import say
from tray_app.core.health import Health
from tray_app.core.provider_errors import plain

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
        from tray_app.cli.commands.watch import follow, show

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
