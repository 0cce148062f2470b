"""`lamplighter autostart`: start at login, or not."""

from __future__ import annotations

import click


@click.command("autostart")
@click.argument("what", type=click.Choice(["on", "off", "status"]))
def start_at_login(what: str) -> None:
    """Start at login, or not."""
    from tray_app.adapters.platform.autostart import autostart, default_command

    if what == "on":
        autostart().turn_on(default_command())
    elif what == "off":
        autostart().turn_off()
    else:
        click.echo("on" if autostart().is_on() else "off")
