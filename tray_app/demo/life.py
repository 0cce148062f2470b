"""`lamplighter demo`: the applet on the embedded provider, in a home that is gone afterwards."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tray_app.adapters.platform.browser import SystemBrowser
from tray_app.adapters.platform.desktop_session import find_session
from tray_app.base import log
from tray_app.base.clock import WallClock
from tray_app.base.paths import Places, places_in, write_private
from tray_app.base.socket_path import HOME_VARIABLE
from tray_app.bootstrap import Environment
from tray_app.core.events import Event, HealthChanged
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.ports import Browser, Notification, Tray
from tray_app.demo.provider import CLIENT_ID, SCOPES, DemoProvider
from tray_app.demo.story import StoryBrowser, play
from tray_app.interfaces.applet import Applet
from tray_app.interfaces.notifications.notifier import make_notifier
from tray_app.interfaces.page.controller import StatusPage
from tray_app.interfaces.tray.presenter import TrayPresenter
from tray_app.launch import Life, run

ACCOUNT = "demo"
TTL = 20.0
STORY_TTL = 4.0
LONGEST_STORY_TTL = 5.0
"""With tokens that live longer the story would not end within a minute."""

CONFIGURATION = """\
store = "memory"

[accounts.{account}]
issuer = "{issuer}"
client_id = "{client_id}"
scopes = [{scopes}]

[retry]
first = "1s"
limit = "2s"
"""


def run_demo(ttl: float | None, *, no_browser: bool, story: bool) -> int:
    """Runs the demo until it is ended, or its story to the end. Returns the exit code."""
    story = story or (find_session().tray == "no" and not no_browser)
    home = Path(tempfile.mkdtemp(prefix="lamplighter-demo-"))
    here = places_in(home)
    told: list[bool] = []
    try:
        if story:
            code = run(_story(here, min(ttl or STORY_TTL, LONGEST_STORY_TTL), told.append), tray=False)
            return code or (0 if told == [True] else 1)
        browser = PrintingBrowser() if no_browser else SystemBrowser()
        tray = find_session().tray != "no"
        return run(_demo(here, ttl or TTL, browser, at_once=no_browser), tray=tray)
    finally:
        logging.shutdown()  # Windows removes no file that is open
        shutil.rmtree(home, ignore_errors=True)


class PrintingBrowser:
    """Prints the address to open, alone on its line."""

    def open(self, url: str) -> bool:
        print(url, flush=True)  # noqa: T201 - the result of `--no-browser`
        return True


def _demo(here: Places, ttl: float, browser: Browser, *, at_once: bool) -> Life:
    async def life(tray: Tray | None, known: Callable[[Applet], None]) -> None:
        provider = await _provider(here, ttl)
        try:
            log.to_file(here.log_file)
            notifier = await make_notifier(tray.balloon if tray is not None else lambda _title, _body: False)
            presenter = TrayPresenter(tray) if tray is not None else None
            applet = Applet(Environment(here), browser, notifier, presenter, StatusPage())
            known(applet)
            _say(f"the demo runs; its provider's page, with buttons to make trouble: {provider.issuer}/")
            _say(f"ask it for a token in another terminal: {HOME_VARIABLE}={here.home} lamplighter token {ACCOUNT}")
            lead_on = _LeadOn(applet, provider)
            await applet.run(started=(lambda: applet.sign_in(ACCOUNT)) if at_once else lead_on.invite)
        finally:
            await provider.close()

    return life


class _LeadOn:
    """The demo's own two notifications: to the sign-in, and after it to the provider's page."""

    def __init__(self, applet: Applet, provider: DemoProvider) -> None:
        self._applet = applet
        self._provider = provider
        self._was_lit = False
        applet.engine.events.call(self._happened)

    def invite(self) -> None:
        self._applet.tell(
            "invitation",
            msg("The lamp is here, and still dark"),
            msg("Sign in to the demo's own provider to light it. No account is needed."),
            actions=[("sign-in", msg("Sign In"))],
            chosen=lambda _action: self._applet.sign_in(ACCOUNT),
            otherwise=msg("Click the lamp in the panel."),
        )

    def _happened(self, event: Event) -> None:
        if isinstance(event, HealthChanged) and event.status.health is Health.FRESH and not self._was_lit:
            self._was_lit = True
            page = f"{self._provider.issuer}/"
            self._applet.tell(
                "invitation",
                msg("The lamp is lit"),
                msg(
                    "Your token renews itself. "
                    "On the provider's page you can revoke it, or let the provider fail: {page}",
                    page=page,
                ),
                actions=[("page", msg("Open the page"))],
                chosen=lambda _action: self._applet.post(lambda: asyncio.to_thread(self._applet.browser.open, page)),
            )


def _story(here: Places, ttl: float, told: Callable[[bool], None]) -> Life:
    async def life(_tray: Tray | None, known: Callable[[Applet], None]) -> None:
        provider = await _provider(here, ttl)
        try:
            log.to_file(here.log_file)
            notifier, browser = StageNotifier(), StoryBrowser()
            applet = Applet(Environment(here), browser, notifier)
            known(applet)
            stage = _Stage(applet, notifier, provider, browser)
            async with asyncio.TaskGroup() as group:
                started = asyncio.Event()
                running = group.create_task(applet.run(started.set))
                await asyncio.wait({running, group.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
                playing = group.create_task(play(stage, lambda line: print(line, flush=True)))  # noqa: T201 - the story
                await asyncio.wait({running, playing}, return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    told(playing.result())
                playing.cancel()
                applet.end()
        finally:
            await provider.close()

    return life


@dataclass
class StageNotifier:
    """Notifications that the story prints and whose buttons it presses: it needs no daemon."""

    has_actions: bool = True
    shown: dict[str, tuple[Notification, Callable[[str], None]]] = field(default_factory=dict)

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        self.shown[notification.key] = notification, chosen
        return True

    async def withdraw(self, key: str) -> None:
        self.shown.pop(key, None)

    async def close(self) -> None:
        self.shown.clear()


class _Stage:
    """The applet as the story touches it."""

    def __init__(self, applet: Applet, notifier: StageNotifier, provider: DemoProvider, browser: StoryBrowser) -> None:
        self.provider = provider
        self.browser = browser
        self.account = ACCOUNT
        self._applet = applet
        self._notifier = notifier
        self._changes: asyncio.Queue[Health] = asyncio.Queue()
        self._last = Health.SIGNED_OUT
        applet.engine.events.call(self._happened)

    def health(self) -> Health:
        return self._applet.engine.account(ACCOUNT).health

    async def next_change(self, seconds: float, /) -> Health:
        return await asyncio.wait_for(self._changes.get(), seconds)

    async def sign_in(self) -> None:
        await self._applet.engine.sign_in(ACCOUNT, self.browser)

    def notified(self) -> str | None:
        return next((shown.title for shown, _ in self._notifier.shown.values()), None)

    async def press_sign_in(self) -> None:
        notification, chosen = next(iter(self._notifier.shown.values()))
        chosen(notification.actions[0][0])

    def _happened(self, event: Event) -> None:
        if isinstance(event, HealthChanged) and (health := event.status.health) is not self._last:
            self._last = health
            self._changes.put_nowait(health)


async def _provider(here: Places, ttl: float) -> DemoProvider:
    provider = DemoProvider(WallClock(), ttl)
    issuer = await provider.start()
    scopes = ", ".join(f'"{scope}"' for scope in SCOPES)
    text = CONFIGURATION.format(account=ACCOUNT, issuer=issuer, client_id=CLIENT_ID, scopes=scopes)
    write_private(here.config_file, text)
    return provider


def _say(words: str) -> None:
    print(f"lamplighter: {words}", file=sys.stderr, flush=True)  # noqa: T201 - a command's word to the terminal
