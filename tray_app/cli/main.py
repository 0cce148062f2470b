"""The commands: words in, results out. A running applet is asked; without one the engine runs here for a moment."""

from __future__ import annotations

import importlib
import io
import json
import sys
import threading
from typing import ClassVar

import click

from tray_app._version import __version__
from tray_app.base.paths import places
from tray_app.cli import client as asking
from tray_app.cli.commands.terminal import ACCOUNT, say
from tray_app.core.errors import LamplighterError, Unavailable
from tray_app.core.failure import printable
from tray_app.interfaces.agent.client import AgentClient

QUIT_SECONDS = 40.0
LONGEST_TTL = 999_999_999
"""Seconds, 31 years: no token lives as long, and no arithmetic with dates breaks on it."""


def main() -> int:
    """Runs the command line; its exit code. Expected errors are printed in one line, a bug goes to the log."""
    try:
        return int(cli.main(standalone_mode=False, prog_name="lamplighter") or 0)
    except click.exceptions.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        sys.stderr.write(printable(shown.getvalue()))
        return error.exit_code
    except LamplighterError as error:
        say(str(error))
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:  # noqa: BLE001 - the last door: one plain line for the person, the rest for the log
        return _unexpected(error)


class _LazyGroup(click.Group):
    """The commands of this file, and those in modules that are imported on demand."""

    modules: ClassVar = {
        "autostart": "tray_app.cli.commands.autostart:start_at_login",
        "accounts": "tray_app.cli.commands.accounts:accounts",
        "completion": "tray_app.cli.commands.completion:completion",
        "config": "tray_app.cli.commands.configuration:configuration",
        "credential": "tray_app.cli.commands.credential:credential",
        "doctor": "tray_app.cli.commands.doctor:doctor",
        "exec": "tray_app.cli.commands.execute:execute",
        "login": "tray_app.cli.commands.login:login",
        "secret": "tray_app.cli.commands.secret:secret",
        "status": "tray_app.cli.commands.status:status",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.modules:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.modules[cmd_name].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> int | None:
    """A lamp in the system tray that keeps you signed in. Without a command: starts it."""
    if context.invoked_subcommand is not None:
        return None
    from tray_app.launch import run_tray

    return run_tray()


@cli.command()
@click.option("--headless", is_flag=True, help="Without a tray.")
def run(*, headless: bool) -> int:
    """Run the applet."""
    from tray_app.launch import run_headless, run_tray

    return run_headless() if headless else run_tray()


@cli.command()
@ACCOUNT
def logout(account: str) -> None:
    """Sign out: revoke at the provider where it can, then erase."""
    unrevoked = asking.sign_out(account)
    say(f"{account}: signed out here; {unrevoked or 'the provider has revoked the sign-in'}")


@cli.command()
@ACCOUNT
def refresh(account: str) -> None:
    """Refresh now."""
    asking.refresh(account)
    say(f"{account}: refreshed")


@cli.command()
@ACCOUNT
@click.option("--min-ttl", type=click.IntRange(0), default=0, metavar="SECONDS", help="It must live this much longer.")
@click.option("--json", "as_json", is_flag=True, help="With its type, end and scopes.")
@click.option("--no-wait", is_flag=True, help="What is valid now, or an error at once.")
def token(account: str, min_ttl: int, *, as_json: bool, no_wait: bool) -> None:
    """Print a valid access token."""
    min_ttl = min(min_ttl, LONGEST_TTL)
    found = asking.token(account, min_ttl, wait=not no_wait)
    _result(json.dumps(found) if as_json else str(found["access_token"]))


@cli.command("quit")
def end() -> None:
    """End the running applet."""
    from tray_app.adapters.store.locks import InstanceLock
    from tray_app.launch import running_applet

    here = places()
    client, instance, moment = AgentClient(here.socket), InstanceLock(here.instance_lock), threading.Event()
    if not client.alive() and here.instance_lock.exists():
        if instance.try_acquire():
            instance.release()
        else:
            client = running_applet(here)
    client.ask("POST", "/v1/quit")
    for _ in range(int(QUIT_SECONDS / 0.05)):  # an open refresh ends and is stored first
        if not client.alive() and instance.try_acquire():
            instance.release()
            return
        moment.wait(0.05)
    raise Unavailable("the applet is still ending: a refresh is under way", "It ends by itself")


@cli.command()
@click.option("--ttl", type=click.FloatRange(1), metavar="SECONDS", help="How long its tokens live.")
@click.option("--no-browser", is_flag=True, help="Print the address to open instead.")
@click.option("--story", is_flag=True, help="Play by itself in the terminal.")
def demo(ttl: float | None, *, no_browser: bool, story: bool) -> int:
    """Try it on a built-in provider: no account, no network."""
    from tray_app.demo.life import run_demo

    return run_demo(ttl, no_browser=no_browser, story=story)


def _result(text: str) -> None:
    click.echo(text)


def _unexpected(error: Exception) -> int:
    from tray_app.base import log

    log.to_file(places().log_file)
    log.LOG.error("a command ended in a way that was not foreseen", exc_info=error)
    say(f"this should not have happened ({type(error).__name__}); the log tells more: {places().log_file}")
    return 1
