"""The applet in use: an account at a provider in another process, the real keyring, and a person who clicks."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.desktop.panel_session import PanelSession, wait_for
from tests.desktop.test_notifications import BUTTONS, Desk
from tray_app.base.clock import WallClock
from tray_app.base.paths import places_in
from tray_app.core.errors import SignInNeeded
from tray_app.core.health import Health
from tray_app.demo.provider import CLIENT_ID, SCOPES, DemoProvider, Event
from tray_app.demo.story import StoryBrowser
from tray_app.interfaces.agent.client import AgentClient
from tray_app.interfaces.tray.icon_set import COLOUR

LIFE = 24 * 3600
"""Seconds that a token lives: nothing is due while we look at the idle applet."""
BESIDE = (600, 740)
CONFIGURATION = """\
[accounts.work]
issuer = "{issuer}"
client_id = "{client_id}"
scopes = [{scopes}]
"""
_BROWSER = """\
#!/bin/sh
date +%s.%N >"$0.now"
echo "$1" >>"$0.now"
mv "$0.now" "$0.seen"
"""
LAMPLIGHTER = str(Path(sys.executable).with_name("lamplighter"))


class Applet:
    """`lamplighter` on a desktop, with one account. The person's browser notes when it was started, and where to."""

    def __init__(self, desktop: PanelSession, provider: DemoProvider, program: str) -> None:
        self.pid = 0
        self._program = program
        self._desktop = desktop
        self._desk = Desk(desktop, "xfce4-notifyd")
        self._provider = provider
        self._process: subprocess.Popen[bytes] | None = None
        here = places_in(desktop.home / "lamplighter")
        here.config_file.parent.mkdir(mode=0o700)
        scopes = ", ".join(f'"{scope}"' for scope in SCOPES)
        text = CONFIGURATION.format(issuer=provider.issuer, client_id=CLIENT_ID, scopes=scopes)
        here.config_file.write_text(text, encoding="utf-8")
        self._browser = desktop.home / "browser"
        self._browser.write_text(_BROWSER, encoding="utf-8")
        self._browser.chmod(0o700)
        self._client = AgentClient(here.socket)
        desktop.env |= {"LAMPLIGHTER_HOME": str(here.home), "BROWSER": str(self._browser)}

    def start(self) -> None:
        """Starts it; returns when it answers."""
        self._process = self._desktop.start(self._program)
        self.pid = self._process.pid
        wait_for(self._client.alive, "the applet")

    def sign_in_by_lamp(self) -> float:
        """Seconds from a click on the grey lamp to the browser's start; then the person approves."""
        x, y = self._desktop.wait_for_colour(COLOUR[Health.SIGNED_OUT])
        return self._clicked(x, y)

    def sign_in_by_notification(self) -> float:
        """The same for Sign In on the notification that comes when the provider has revoked."""
        self._provider.revoke_session()
        with contextlib.suppress(SignInNeeded):
            self.refresh()
        wait_for(lambda: self._desk._still(1), "the notification")
        [(left, top, width, height)] = self._desk.windows()
        from_right, from_below = BUTTONS["xfce4-notifyd"]["sign-in"]
        seconds = self._clicked(left + width - from_right, top + height - from_below)
        wait_for(lambda: self._desk._still(0), "the end of the notification")
        return seconds

    def refresh(self) -> None:
        """New tokens from the provider, into the keyring. Raises `SignInNeeded` where it refuses."""
        self._client.ask("POST", self._client.account("work", "refresh"))

    @property
    def refreshes(self) -> int:
        """How many the provider has granted."""
        return self._provider.counts[Event.REFRESH]

    def _clicked(self, x: int, y: int) -> float:
        seen = self._browser.with_name("browser.seen")
        self._desktop.point(x, y)
        began = time.time()  # noqa: TID251 - the browser's clock
        self._desktop.run("xdotool", "click", "1")
        wait_for(seen.exists, "the browser")
        started, url = seen.read_text(encoding="utf-8").split()
        seen.unlink()
        self._desktop.point(*BESIDE)
        person = StoryBrowser()
        person.open(url)
        asyncio.run(person.landed())
        self._desktop.wait_for_colour(COLOUR[Health.FRESH])
        return float(started) - began


@contextlib.contextmanager
def running_applet(desktop: PanelSession, program: str = LAMPLIGHTER) -> Iterator[Applet]:
    """The applet with its provider, which runs here: in another process than the applet."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="provider")
    thread.start()

    def in_loop(work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(20)  # type: ignore[arg-type]

    provider = DemoProvider(WallClock(), LIFE)
    try:
        in_loop(provider.start())
        applet = Applet(desktop, provider, program)
        applet.start()
        yield applet
    finally:
        in_loop(provider.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
