"""The status page's side in the applet: what the page shows, and what its buttons do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tray_app._version import __version__
from tray_app.base.translation import translated
from tray_app.bootstrap import token_hosts
from tray_app.core.claude_code import PROVIDER as CLAUDE_CODE
from tray_app.core.errors import LamplighterError, UnconfirmedTokenHost
from tray_app.core.message import msg
from tray_app.core.status import AccountStatus
from tray_app.core.time_phrasing import watched_words
from tray_app.engine.events import Events
from tray_app.interfaces.applet import Applet

if TYPE_CHECKING:
    from tray_app.interfaces.page.server import Page

SHOWN = timedelta(days=8)
"""How much of the history is sent: a day more than the strip shows."""
_LOG_LINES = 200
_LOG_BYTES = 65_536


class StatusPage:
    """The applet's status page; its server is made when it is first opened."""

    server: Page | None = None

    async def open(self, applet: Applet, *, adding: bool) -> None:
        """Opens the page in the browser; with `adding`, where an account is added. Raises `LamplighterError`."""
        await applet.incidents.untell("welcome")  # the person has found the way
        from tray_app.interfaces.page.server import Page

        if self.server is None:
            self.server = Page(PageController(applet))
        address = await self.server.address(adding=adding)
        if not await asyncio.to_thread(applet.browser.open, address):
            what = msg("No browser could be started")
            raise LamplighterError(what, msg("The same in a terminal: {command}", command="lamplighter status"))

    async def close(self) -> None:
        """Serves it no longer."""
        if self.server is not None:
            await self.server.close()


class PageController:
    """What the page asks of the applet."""

    def __init__(self, applet: Applet) -> None:
        self._applet = applet
        self._engine = applet.engine

    @property
    def events(self) -> Events:
        """What happens."""
        return self._engine.events

    async def state(self) -> dict[str, Any]:
        """All that is shown and changes."""
        entries = await asyncio.to_thread(self._applet.history.entries)
        error = self._engine.configuration_error
        return {
            "version": __version__,
            "health": str(self._engine.health()),
            "configuration_error": translated(error) if error else None,
            "signing_in": sorted(self._engine.sign_ins.accounts),
            "accounts": [self._shown(status) for status in self._engine.statuses()],
            "history": _recent(entries, (self._applet.world.clock.now() - SHOWN).isoformat()),
        }

    async def sign_in(self, name: str, *, confirmed: list[str]) -> None:
        """Starts the account's sign-in. Raises `Unconfirmed` before the first one of an account added here."""
        from tray_app.interfaces.page.server import Unconfirmed

        confirmations = self._applet.confirmations
        hosts = await asyncio.to_thread(confirmations.hosts, name)
        if hosts is not None and confirmed != hosts:
            raise Unconfirmed(hosts)
        if hosts is not None:
            await asyncio.to_thread(confirmations.confirm, name)
        try:
            await self._engine.sign_in(name, self._applet.browser)
        except UnconfirmedTokenHost as unconfirmed:
            if confirmed != list(unconfirmed.hosts):  # agreed to these very hosts, not to any that are found later
                raise Unconfirmed(list(unconfirmed.hosts)) from unconfirmed
            allowed = token_hosts(self._applet.world.places)
            await asyncio.to_thread(allowed.allow, unconfirmed.issuer, *unconfirmed.hosts)
            await self._engine.sign_in(name, self._applet.browser)

    async def refresh(self, name: str) -> None:
        """Refreshes now."""
        await self._engine.refresh(name)

    async def sign_out(self, name: str) -> None:
        """Signs out."""
        await self._engine.sign_out(name)

    async def offer(self) -> dict[str, Any]:
        """The presets, and whether there is a Claude Code to be watched."""
        from tray_app.interfaces import add_account as adding

        return await asyncio.to_thread(adding.offer, self._engine.configuration)

    async def add(self, wanted: dict[str, str]) -> None:
        """Adds the account to the configuration; returns once it is applied."""
        from tray_app.interfaces import add_account as adding

        await adding.add(
            self._engine, self._applet.world.places.config_file, wanted, hold=self._applet.confirmations.wait
        )

    async def demo(self) -> None:
        """Starts the demo as a program of its own."""
        from tray_app.adapters.platform.autostart import default_command
        from tray_app.base.processes import start_and_forget

        await asyncio.to_thread(start_and_forget, [*default_command(), "demo"])

    async def examine(self) -> dict[str, Any]:
        """Doctor's report."""
        from tray_app.interfaces.doctor.examination import examine, report_json

        return report_json(await examine(self._applet.world.places), translated)

    async def log_lines(self) -> list[str]:
        """The log's last lines."""
        return await asyncio.to_thread(_tail, self._applet.world.places.log_file)

    def _shown(self, status: AccountStatus) -> dict[str, Any]:
        now = self._applet.world.clock.now()
        facts = status.as_json() | {"provider": status.provider, "words": None}
        if status.failure is not None:
            facts["last_error"]["message"] = translated(status.failure.message)
        if status.provider == CLAUDE_CODE:
            facts["words"] = translated(watched_words(status.health, status.sign_in_ends_at, now))
        return facts


def _recent(entries: list[dict[str, Any]], since: str) -> list[dict[str, Any]]:
    """The entries from then on, and before them the last health of each account: what the strip begins with."""
    old = {entry.get("account"): entry for entry in entries if entry["kind"] == "health" and entry["at"] < since}
    return [*old.values(), *(entry for entry in entries if entry["at"] >= since)]


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return file.read(_LOG_BYTES).decode("utf-8", "replace").splitlines()[-_LOG_LINES:]
    except OSError as error:
        return [f"{path}: {error.strerror}"]
