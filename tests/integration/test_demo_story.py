"""The story on a small applet of its own: real HTTP, real records and plans, no tray. The whole applet plays it in
tests of `lamplighter demo --story`.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode
from urllib.request import ProxyHandler, build_opener

import pytest

from tray_app.base.clock import WallClock
from tray_app.base.http.server import HttpServer, Request, Response, bind_loopback
from tray_app.core import record as records
from tray_app.core.account import RefreshPolicy
from tray_app.core.health import Health, health_of
from tray_app.core.provider_errors import Answer, classify
from tray_app.core.schedule import health_changes_at, next_due
from tray_app.core.tokens import Secret, TokenAnswer, merged
from tray_app.demo.provider import CLIENT_ID, SCOPES, DemoProvider, Event
from tray_app.demo.story import StoryBrowser, play


class SmallApplet:
    """A `Stage`: signs in, refreshes when due, notifies."""

    account = "demo"

    def __init__(self, provider: DemoProvider) -> None:
        self.provider = provider
        self.browser = StoryBrowser()
        self.landing = "<title>You are signed in</title>"
        self.notifies = True
        self._record = records.Record()
        self._health = Health.SIGNED_OUT
        self._changes: asyncio.Queue[Health] = asyncio.Queue()
        self._moved = asyncio.Event()

    def health(self) -> Health:
        return health_of(self._record, self.provider.issuer, self.provider.clock.now())

    async def next_change(self, seconds: float, /) -> Health:
        return await asyncio.wait_for(self._changes.get(), seconds)

    def notified(self) -> str | None:
        return "Sign in to demo" if self.notifies and self.health() is Health.SIGN_IN_NEEDED else None

    async def press_sign_in(self) -> None:
        await self.sign_in()

    async def sign_in(self) -> None:
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        done = asyncio.Event()

        async def listener(request: Request) -> Response:
            answer = parse_qs(request.query)
            assert answer["state"] == [state]
            assert answer["iss"] == [self.provider.issuer]
            code.set_result(answer.get("code", [""])[0])
            await done.wait()  # the page comes after the exchange, as with the product's own listener
            return Response(200, self.landing.encode(), "text/html; charset=utf-8")

        server = HttpServer(listener)
        (listening,) = bind_loopback("127.0.0.1", 0)
        redirect_uri = f"http://127.0.0.1:{listening.getsockname()[1]}/callback"
        await server.listen(listening)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": redirect_uri,
            "state": state,
            "scope": " ".join(SCOPES),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        await asyncio.to_thread(self.browser.open, f"{self.provider.issuer}/authorize?{urlencode(query)}")
        await self._ask("authorization_code", code=await code, redirect_uri=redirect_uri, code_verifier=verifier)
        done.set()
        with contextlib.suppress(OSError, ValueError):
            await self.browser.landed()
        await server.close()

    async def run(self) -> None:
        """Refreshes when it is due, and tells each change of health."""
        while True:
            now = self.provider.clock.now()
            due = next_due(self._record, self.provider.issuer, RefreshPolicy())
            if due is not None and due <= now:
                tokens = self._record.tokens
                assert tokens is not None
                assert tokens.refresh_token is not None
                await self._ask("refresh_token", refresh_token=tokens.refresh_token.reveal())
                continue
            if (health := self.health()) is not self._health:
                self._health = health
                self._changes.put_nowait(health)
            moments = [moment for moment in (due, health_changes_at(self._record, now)) if moment is not None]
            wait = min((moment - now).total_seconds() for moment in moments) if moments else None
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), wait)

    async def _ask(self, grant: str, **form: str) -> None:
        asked_at = self.provider.clock.now()
        form |= {"grant_type": grant, "client_id": CLIENT_ID}
        answer = await asyncio.to_thread(_post, f"{self.provider.issuer}/token", form)
        if answer.status != 200:
            failure = classify(answer, self.provider.clock.now(), host="the demo")
            retry_at = None if failure.code == "invalid_grant" else failure.at + timedelta(seconds=0.3)
            self._record = records.failed(self._record, failure, retry_at)
        else:
            said = json.loads(answer.body)
            given = TokenAnswer(
                Secret(said["access_token"]),
                said["token_type"],
                asked_at,
                timedelta(seconds=said["expires_in"]),
                Secret(said["refresh_token"]),
            )
            tokens = merged(self._record.tokens, given, requested_scopes=SCOPES, bound_to=self.provider.issuer)
            self._record = records.refreshed(self._record, tokens, asked_at, 0.0)
        self._moved.set()


def _post(url: str, form: dict[str, str]) -> Answer:
    try:
        with build_opener(ProxyHandler({})).open(url, urlencode(form).encode(), timeout=10) as answer:
            return Answer(answer.status, {"content-type": answer.headers["Content-Type"]}, answer.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, {"content-type": error.headers["Content-Type"]}, error.read())


@pytest.fixture
async def applet() -> AsyncIterator[SmallApplet]:
    provider = DemoProvider(WallClock(), ttl=5)  # "retrying" lasts a fifth of it: a second, which a busy machine has
    await provider.start()
    applet = SmallApplet(provider)
    running = asyncio.create_task(applet.run())
    yield applet
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await provider.close()


async def test_the_story_is_told_as_it_happens(applet: SmallApplet) -> None:
    lines: list[str] = []

    assert await play(applet, lines.append, colour=False), lines
    told = [line.split()[2] for line in lines if line.split()[1:2] == ["demo"]]
    assert told == [
        "signed-out",
        "fresh",
        "retrying",
        "expired",
        "fresh",
        "sign-in-needed",
        "fresh",
    ]
    assert applet.provider.counts[Event.SIGN_IN] == 2
    assert applet.provider.counts[Event.REFRESH] >= 3
    assert applet.provider.counts[Event.REFUSAL] == 1
    assert any('The browser shows "You are signed in"' in line for line in lines)
    assert any("Notification: Sign in to demo" in line for line in lines)
    assert lines[-1] == "All went as told."


async def test_a_notification_that_never_comes_is_said_and_the_story_is_not_as_told(
    applet: SmallApplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tray_app.demo.story.PATIENCE", 3)
    applet.notifies = False
    lines: list[str] = []

    assert not await play(applet, lines.append, colour=False)
    assert lines[-1] == "This did not happen: the notification comes up."


async def test_a_story_without_an_applet_that_runs_names_the_first_step_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tray_app.demo.story.PATIENCE", 0.2)
    provider = DemoProvider(WallClock(), ttl=1)
    await provider.start()
    applet = SmallApplet(provider)  # signs in, but nobody ever looks after it
    lines: list[str] = []
    try:
        assert not await play(applet, lines.append, colour=False)
    finally:
        await provider.close()

    assert lines[-1] == "This did not happen: demo becomes fresh (it is signed-out)."


async def test_the_browser_of_the_story_does_not_hold_up_whoever_opens_it() -> None:
    browser = StoryBrowser()

    assert browser.open("http://127.0.0.1:1/") is True  # nobody listens there
    with pytest.raises(OSError, match=r"refused|actively"):
        await browser.landed()


async def test_a_title_cannot_reach_the_terminal_with_control_characters(applet: SmallApplet) -> None:
    applet.landing = "<title>Signed\x1b]0;pwn\x07\n in</title>"
    await applet.sign_in()

    assert await applet.browser.landed() == "Signed ]0;pwn   in"
