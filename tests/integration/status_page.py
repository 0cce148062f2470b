"""The applet with its status page in this process, and a browser that only notes what it was asked to open."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.notifier import RecordingNotifier
from tests.fakes.waiting import until
from tray_app.base.paths import places_in, write_private
from tray_app.bootstrap import Environment
from tray_app.interfaces.applet import Applet
from tray_app.interfaces.page.controller import StatusPage


class NotingBrowser:
    """Opens nothing."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return True


class Running:
    """An applet, its browser and its notifier."""

    def __init__(self, home: Path, *parts: str) -> None:
        self.places = places_in(home)
        if parts:
            write_private(self.places.config_file, "\n".join(parts))
        self.browser = NotingBrowser()
        self.notifier = RecordingNotifier()
        self.page = StatusPage()
        self.applet = Applet(Environment(self.places), self.browser, self.notifier, page=self.page)

    async def address(self, *, adding: bool = False) -> str:
        """What the browser was asked to open, with a fresh key."""
        before = len(self.browser.opened)
        self.applet.show_page(adding=adding)
        await until(lambda: len(self.browser.opened) > before)
        return self.browser.opened[-1]

    async def visitor(self) -> Visitor:
        """A browser that has opened the page."""
        address = await self.address()
        parts = urlsplit(address)
        visitor = Visitor(parts.netloc, parts.path)
        entered = await visitor.ask("GET", f"?{parts.query}")
        assert entered.status == 303
        visitor.cookie = entered.headers["set-cookie"].partition(";")[0]
        return visitor


@dataclass(frozen=True)
class Page:
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Visitor:
    """One browser's requests, as its own scripts send them."""

    host: str
    base: str
    cookie: str = ""

    async def get(self, path: str, **headers: str) -> Page:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, **body: str) -> Page:
        return await self.ask("POST", path, json.dumps(body).encode())

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Page:
        """One request; `headers` replace those that a browser sends, by their names with underscores."""

        def ask() -> Page:
            with contextlib.closing(self._asked(method, path, body, headers)) as connection:
                answer = connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                return Page(answer.status, found, answer.read().decode())

        return await asyncio.to_thread(ask)

    @asynccontextmanager
    async def states(self) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
        """The stream of events; each call gives the next state."""
        connection = await asyncio.to_thread(self._asked, "GET", "events", None, {})
        answer = await asyncio.to_thread(connection.getresponse)
        assert answer.headers.get_content_type() == "text/event-stream"

        def following() -> dict[str, Any]:
            while line := answer.readline().decode():
                if line.startswith("data: "):
                    found: dict[str, Any] = json.loads(line[6:])
                    return found
            raise AssertionError("the stream has ended")

        try:
            yield lambda: asyncio.to_thread(following)
        finally:
            answer.close()
            connection.close()

    async def state(self) -> dict[str, Any]:
        """What the page is shown first."""
        async with self.states() as following:
            return await following()

    def _asked(self, method: str, path: str, body: bytes | None, changes: dict[str, str]) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        usual = {"Host": self.host, "Origin": f"http://{self.host}", "Content-Type": "application/json"}
        given = {name.replace("_", "-"): value for name, value in changes.items()}
        headers = {**usual, "Cookie": self.cookie, **given}
        connection.request(method, self.base + path, body, {name: value for name, value in headers.items() if value})
        return connection


@asynccontextmanager
async def running(home: Path, *parts: str) -> AsyncIterator[Running]:
    """From its first answer on; ended politely afterwards."""
    one = Running(home, *parts)
    started = asyncio.Event()
    life = asyncio.create_task(one.applet.run(started.set))
    try:
        await asyncio.wait({life, asyncio.create_task(started.wait())}, return_when=asyncio.FIRST_COMPLETED)
        yield one
    finally:
        one.applet.end()
        await life
