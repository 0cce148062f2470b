"""`lamplighter config`: verify the configuration, or tell where it is."""

from __future__ import annotations

import click

from tray_app.base.paths import places


@click.group("config")
def configuration() -> None:
    """The configuration."""


@configuration.command("check")
def check() -> None:
    """Verify the configuration."""
    from tray_app.adapters.config import parser as config

    path = places().config_file
    accounts = len(config.load(path).accounts)
    click.echo(f"{path}: good, {accounts} account{'' if accounts == 1 else 's'}")


@configuration.command("path")
def path() -> None:
    """Print where it is."""
    click.echo(str(places().config_file))
