"""`lamplighter login`: sign in, in a browser here or wherever the person sits."""

from __future__ import annotations

import sys

import click

from tray_app.base.paths import places
from tray_app.cli.commands.terminal import ACCOUNT, say
from tray_app.cli.sign_in import sign_in
from tray_app.core.errors import Misconfigured
from tray_app.core.ports import Flow, SignInPrompt
from tray_app.core.time_phrasing import clock_time


@click.command("login")
@ACCOUNT
@click.option("--no-browser", is_flag=True, help="Print the address to open, alone on its line, and wait.")
@click.option("--paste", is_flag=True, help="Print the address; then paste what the browser was sent to, or its code.")
@click.option("--device", is_flag=True, help="Sign in on another device, with a short code.")
def login(account: str, *, no_browser: bool, paste: bool, device: bool) -> None:
    """Sign in."""
    if no_browser + paste + device > 1:
        raise click.UsageError("Choose one of --no-browser, --paste and --device.")
    sign_in_at_terminal(account, no_browser=no_browser, flow="paste" if paste else "device" if device else "browser")


def sign_in_at_terminal(account: str, *, no_browser: bool = False, flow: Flow = "browser") -> None:
    """Signs in, and prints that. Without a usable browser it shows another way. Raises `LamplighterError`."""
    from tray_app.adapters.platform.browser import SystemBrowser
    from tray_app.cli.client import watched_accounts

    browser = SystemBrowser()
    opens_here = flow == "browser" and not no_browser
    why_not = browser.why_not() if opens_here and account not in watched_accounts() else None
    if why_not is not None:
        flow, opens_here = "elsewhere", False

    def show(prompt: SignInPrompt) -> bool:
        if why_not is not None:
            say(f"{account}: {why_not}, so you sign in elsewhere")
        if prompt.user_code is not None:
            _show_code(account, prompt)
            return False
        if opens_here and browser.open(prompt.url):
            say(f"waiting for your browser; if it shows nothing, open this address:\n{prompt.url}")
            return False
        if opens_here:
            say(f"{account}: no browser could be started, so you sign in elsewhere")
        if not no_browser:
            say(
                "open this address in a browser, and paste here the address that it is sent to in the end, or the code:"
            )
        click.echo(prompt.url)
        return not no_browser

    try:
        sign_in(account, flow, show)
    except Misconfigured as error:
        if not _is_token_host_right(account, error):
            raise
        sign_in(account, flow, show)
    say(f"{account}: signed in")


def _is_token_host_right(account: str, error: Misconfigured) -> bool:
    """Whether the person at this terminal says that the sign-in may be handed to another host; remembered."""
    if "allow_token_host" not in str(error) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    from tray_app.adapters.config import parser as config
    from tray_app.bootstrap import first_look, token_hosts

    found = first_look(config.load(places().config_file).accounts[account])
    if found.issuer is None or len(found.hosts) < 2:
        return False
    one, other = found.hosts
    if not click.confirm(f"Your sign-in at {one} will be handed to {other}. Is that right?", err=True):
        return False
    token_hosts(places()).allow(found.issuer, one, other)
    return True


def _show_code(account: str, prompt: SignInPrompt) -> None:
    """The address and the code, each alone on its line (RFC 8628, 3.3)."""
    until = f", by {clock_time(prompt.expires_at)[:5]}" if prompt.expires_at else ""
    if prompt.url == prompt.verification_uri:
        say(f"{account}: open this address on any device, and enter this code{until}:")
    else:
        say(f"{account}: open this address on any device, and see that it shows this code{until}:")
    click.echo(prompt.url)
    click.echo(prompt.user_code)
