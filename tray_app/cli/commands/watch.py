"""`lamplighter status --watch`: every account as it is now, until the applet ends."""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tray_app.base.paths import places
from tray_app.cli import client as asking
from tray_app.cli.commands.account_lines import COLOURS, line_of, now
from tray_app.cli.commands.terminal import say
from tray_app.core.errors import LamplighterError, NoApplet
from tray_app.core.failure import plain
from tray_app.core.health import Health
from tray_app.interfaces.agent.client import AgentClient

SECONDS = 1.0
"""Seconds between updates of the remaining time; `span` has no smaller unit."""
SIGTERM_CODE = 128 + signal.SIGTERM


def follow(*, as_json: bool) -> None:
    """For a pipe: a line for every account now, and one at each change. Returns when the applet has ended."""
    watched = asking.watched_accounts()

    def tell(account: dict[str, Any]) -> None:
        click.echo(json.dumps(account) if as_json else line_of(account, watched, now()))
        sys.stdout.flush()

    _changes(tell)
    _ended()


def show(accounts: list[dict[str, Any]]) -> None:
    """For a terminal: a line for every account, kept up to date. Returns when the applet has ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(SIGTERM_CODE))  # so that the cursor is restored on every exit
    known = {account["name"]: account for account in accounts}
    changes: queue.SimpleQueue[dict[str, Any] | LamplighterError | None] = queue.SimpleQueue()
    threading.Thread(target=_forward, args=(changes,), daemon=True).start()
    watched = asking.watched_accounts()
    with Live(_picture(known, watched), console=Console(), auto_refresh=False) as live:
        while True:
            try:
                change = changes.get(timeout=SECONDS)
            except queue.Empty:
                pass
            else:
                if change is None:
                    break
                if isinstance(change, LamplighterError):
                    raise change
                known[change["name"]] = change
            live.update(_picture(known, watched), refresh=True)
    _ended()


def _changes(tell: Callable[[dict[str, Any]], None]) -> None:
    """Reports every account, and each again when it changes, until the applet ends; waits for an applet to start.

    Raises `LamplighterError`.
    """
    told: dict[str, dict[str, Any]] = {}

    def tell_news(accounts: list[dict[str, Any]]) -> None:
        for account in accounts:
            error = account["last_error"]  # without times, which change at each failing read
            news = account | {"refresh_due_at": None, "last_error": error and (error["kind"], error["message"])}
            if told.get(account["name"]) != news:
                told[account["name"]] = news
                tell(account)

    asking.watch(tell_news)
    with suppress(NoApplet):
        for kind, facts in AgentClient(places().socket).events():
            if kind == "health":
                tell(asking.public(facts))


def _forward(changes: queue.SimpleQueue[dict[str, Any] | LamplighterError | None]) -> None:
    try:
        _changes(changes.put)
        changes.put(None)
    except LamplighterError as error:
        changes.put(error)


def _picture(accounts: dict[str, dict[str, Any]], watched: frozenset[str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for account in accounts.values():
        reason = plain(account["last_error"]["message"], 500) if account["last_error"] else ""
        style = COLOURS[Health(account["health"])]
        table.add_row(Text(line_of(account, watched, now()), style=style), Text(reason, style="dim"))
    return table


def _ended() -> None:
    say("the applet has ended")
