"""The demo's story: it plays itself in the terminal, and each step must really happen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from datetime import datetime
from html.parser import HTMLParser
from http.client import HTTPException
from typing import Protocol
from urllib.parse import urlencode, urljoin
from urllib.request import ProxyHandler, build_opener

from tray_app.core.failure import plain
from tray_app.core.health import Health
from tray_app.demo.provider import DemoProvider, Event

WORDS = {
    Health.FRESH: "a valid token; the next refresh comes by itself",
    Health.ENDING: "a valid token, but the sign-in itself ends soon",
    Health.RETRYING: "the last refresh failed; the token is still good; trying again",
    Health.EXPIRED: "the token has ended; trying again",
    Health.SIGN_IN_NEEDED: "the provider no longer accepts the sign-in; only you can help",
    Health.SIGNED_OUT: "nobody is signed in",
}
COLOURS = {
    Health.FRESH: "32",
    Health.ENDING: "93",
    Health.RETRYING: "38;5;214",
    Health.EXPIRED: "38;5;208",
    Health.SIGN_IN_NEEDED: "91",
    Health.SIGNED_OUT: "90",
}
"""SGR parameters (ECMA-48, 8.3.117): the colours of the lamp."""

LIMIT = 55.0
"""Seconds that the story may take, for tokens that live up to 5 s."""
PATIENCE = 10.0
"""Seconds for what should come at once: a page, a notification."""


class StoryBrowser:
    """The person at the browser: opens the URL, presses Approve, reads the page that comes of it. Real HTTP."""

    def __init__(self) -> None:
        self._visit: Future[str] = Future()

    def open(self, url: str) -> bool:
        """Opens the URL in a separate thread, without waiting; `landed` has the result."""
        visit = self._visit = Future()
        visit.set_running_or_notify_cancel()
        threading.Thread(target=_visit, args=(url, visit), name="story browser", daemon=True).start()
        return True

    async def landed(self, seconds: float = PATIENCE) -> str:
        """The title of the page at the end of the last visit. Raises OSError, ValueError or HTTPException."""
        return await asyncio.wait_for(asyncio.wrap_future(self._visit), seconds)


class Stage(Protocol):
    """The applet, as far as the story looks at it and touches it."""

    provider: DemoProvider
    browser: StoryBrowser
    """What the applet was given as its browser."""
    account: str

    def health(self) -> Health:
        """The account's health now."""

    async def next_change(self, seconds: float, /) -> Health:
        """The next change of the account's health; none is lost between two calls. Raises TimeoutError."""

    async def sign_in(self) -> None:
        """Does what a click on Sign In does."""

    def notified(self) -> str | None:
        """The text of the notification that is up; None where none is."""

    async def press_sign_in(self) -> None:
        """Presses Sign In of that notification."""


class NotAsTold(Exception):
    """A step of the story did not happen."""


async def play(stage: Stage, out: Callable[[str], None], *, colour: bool | None = None) -> bool:
    """Plays the story and prints it line by line. True only if each step really happened, here and at the provider.

    Coloured where standard output is a terminal that wants it, unless `colour` says.
    """
    story = _Story(stage, out, wants_colour() if colour is None else colour)
    try:
        async with asyncio.timeout(max(LIMIT, 11.0 * stage.provider.ttl)), story.watched():
            await story.sign_in()
            await story.refreshes()
            await story.outage()
            await story.revocation()
    except NotAsTold as step:
        out(f"This did not happen: {step}.")
        return False
    except TimeoutError:
        out("This did not happen: the end of the story in time.")
        return False
    out("All went as told.")
    return True


def health_line(at: datetime, account: str, health: Health, *, colour: bool = False) -> str:
    """One change of health, at local time: `12:00:03  demo  fresh           a valid token; ...`."""
    word = f"{health.value:<14}"
    if colour:
        word = f"\x1b[{COLOURS[health]}m{word}\x1b[0m"
    return f"{at.astimezone():%H:%M:%S}  {account}  {word}  {WORDS[health]}"


def wants_colour() -> bool:
    """Whether standard output is a terminal, and nobody objects (NO_COLOR, a dumb terminal)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Story:
    def __init__(self, stage: Stage, out: Callable[[str], None], colour: bool) -> None:  # noqa: FBT001 - private
        self._stage = stage
        self._provider = stage.provider
        self._out = out
        self._colour = colour
        self._cycle = stage.provider.ttl + PATIENCE
        """Seconds within which a refresh must have been tried."""
        self._health = stage.health()
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Prints each change of health meanwhile."""
        self._print()
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            if not watch.cancelled():
                watch.result()  # a fault of the stage is no step that did not happen

    async def sign_in(self) -> None:
        self._require(self._health is Health.SIGNED_OUT, "a start without a sign-in")
        self._tell(f"You choose Sign In. Tokens of this provider live {self._provider.ttl} s.")
        await self._stage.sign_in()
        await self._signed_in(1)

    async def refreshes(self) -> None:
        self._tell("Now nothing needs you: two refreshes, before the token ends.")
        for number in (1, 2):
            await self._happens(Event.REFRESH, number, f"refresh {number}")
            self._tell(f"Refresh {number}: new tokens, the old refresh token is worth nothing any more.")
        self._require(self._health is Health.FRESH, "the lamp stayed lit during the refreshes")

    async def outage(self) -> None:
        refreshes, sign_ins = (self._provider.counts[event] for event in (Event.REFRESH, Event.SIGN_IN))
        self._tell("The provider goes down.")
        self._provider.go_down()
        await self._reaches(Health.RETRYING)
        await self._reaches(Health.EXPIRED)
        self._require(self._provider.counts[Event.OUTAGE] > 0, "a call that the provider answered with 503")
        self._tell("The provider is back. Nobody needs to sign in for that.")
        self._provider.recover()
        await self._reaches(Health.FRESH)
        self._require(self._provider.counts[Event.REFRESH] > refreshes, "a refresh after the outage")
        self._require(self._provider.counts[Event.SIGN_IN] == sign_ins, "an outage that heals without a sign-in")

    async def revocation(self) -> None:
        self._tell("The provider revokes the session.")
        self._provider.revoke_session()
        await self._reaches(Health.SIGN_IN_NEEDED)
        self._require(self._provider.counts[Event.REFUSAL] == 1, "one refusal by the provider, and no second call")
        await self._notification(up=True)
        self._tell(f"Notification: {self._stage.notified()}  [Sign In] [Later]")
        self._tell("You press Sign In.")
        await self._stage.press_sign_in()
        await self._signed_in(2)
        await self._notification(up=False)
        self._tell("The notification is gone, the lamp is lit again.")

    async def _signed_in(self, number: int) -> None:
        await self._happens(Event.SIGN_IN, number, f"sign-in {number} at the provider")
        try:
            title = await self._stage.browser.landed()
        except (OSError, ValueError, HTTPException) as error:  # TimeoutError is an OSError
            raise NotAsTold(f"a page at the end of sign-in {number} ({type(error).__name__})") from error
        self._tell(f'The browser shows "{title}".')
        await self._reaches(Health.FRESH)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                self._health = await self._stage.next_change(LIMIT)
                self._print()
                self._changed.set()

    async def _reaches(self, health: Health) -> None:
        try:
            async with asyncio.timeout(self._cycle):
                while self._health is not health:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise NotAsTold(f"{self._stage.account} becomes {health} (it is {self._health})") from error

    async def _happens(self, event: Event, count: int, step: str) -> None:
        try:
            await self._provider.until(event, count, self._cycle)
        except TimeoutError as error:
            raise NotAsTold(step) from error

    async def _notification(self, *, up: bool) -> None:
        for _ in range(int(PATIENCE / 0.05)):  # the stage reports health only, so this is polled
            if (self._stage.notified() is not None) is up:
                return
            await asyncio.sleep(0.05)
        raise NotAsTold("the notification comes up" if up else "the notification goes away")

    def _require(self, happened: bool, step: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not happened:
            raise NotAsTold(step)

    def _tell(self, words: str) -> None:
        self._out(f"{self._now():%H:%M:%S}  {words}")

    def _print(self) -> None:
        self._out(health_line(self._now(), self._stage.account, self._health, colour=self._colour))

    def _now(self) -> datetime:
        return self._provider.clock.now().astimezone()


class _Page(HTMLParser):
    """What a person reads off a page: its title and its one form."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.title = ""
        self.action = ""
        self.fields: dict[str, str] = {}
        self._in_title = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "form":
            self.action = attributes.get("action", "")
        elif tag == "input":
            self.fields[attributes.get("name", "")] = attributes.get("value", "")

    def handle_endtag(self, _tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data


def _visit(url: str, visit: Future[str]) -> None:
    try:
        web = build_opener(ProxyHandler({}))  # what is asked for lies on loopback: no proxy's business
        web.addheaders.append(("Sec-Fetch-Mode", "navigate"))  # which every browser says: it will follow redirects
        with web.open(url, timeout=PATIENCE) as answer:
            asked = _Page(answer.read().decode())
        form = urlencode({**asked.fields, "decision": "approve"}).encode()
        with web.open(urljoin(url, asked.action), form, timeout=PATIENCE) as answer:
            visit.set_result(plain(_Page(answer.read().decode()).title))
    except (OSError, ValueError, HTTPException) as error:
        visit.set_exception(error)
