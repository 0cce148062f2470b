"""Ways in which real products sign people out needlessly: a naive refresher fails in each, Lamplighter does not.

All thirteen, with all their tests, are in `thirteen_ways.md`. Here are those that need real parts; the others are
lives of a laptop (`tests/simulation/test_ways.py`). Both meet the same, each with a provider of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from tests.integration import naive_refresher
from tests.integration.hostile_server import Browser, HandClock, json_response
from tests.integration.lamplighter_process import Lamplighter, Provider
from tests.integration.naive_refresher import LockByAge, NaiveRefresher, code_at
from tests.integration.test_listener import listening, outcome
from tests.integration.test_token_endpoint import failure, held, named, tls_server
from tests.keyring_session import eventually
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.clock import WallClock
from tray_app.core.provider_errors import ENDS_SIGN_IN, FailureKind
from tray_app.core.tokens import Secret

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="only where processes have signals")
HOLDER = """
import pathlib, sys
from tray_app.adapters.store.locks import KernelLock
assert KernelLock(pathlib.Path(sys.argv[1])).try_acquire()
print("held", flush=True)
sys.stdin.read()
"""


@dataclass
class Theirs:
    """The naive refresher, signed in, and its provider."""

    provider: Provider
    file: Path
    browser: Path

    @property
    def token_url(self) -> str:
        return f"{self.provider.issuer}/token"

    @property
    def refresher(self) -> NaiveRefresher:
        return NaiveRefresher(self.file, self.token_url, self.browser)

    def given(self, *, age: float = 0) -> None:
        first = self.provider.first_tokens(timedelta(hours=1), timedelta(seconds=age), refreshable=True)
        assert first.refresh_token is not None
        self.refresher.signed_in(first.refresh_token.reveal(), first.expires_at.timestamp())

    def pages(self) -> int:
        return opened_by(self.browser)


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    with Provider() as provider:
        theirs = Theirs(provider, tmp_path / "naive.json", browser_at(tmp_path / "their-browser"))
        theirs.given()
        yield theirs


def browser_at(path: Path) -> Path:
    """A browser that writes down each page that it is asked for."""
    path.write_text(f'#!/bin/sh\necho "$1" >> {path}.pages\n')
    path.chmod(0o755)
    return path


def opened_by(browser: Path) -> int:
    pages = Path(f"{browser}.pages")
    return len(pages.read_text().splitlines()) if pages.exists() else 0


@POSIX
def test_way_4_a_command_that_is_ended_within_its_refresh(
    lamplighter: Lamplighter, provider: Provider, theirs: Theirs
) -> None:
    lamplighter.given(provider)
    naive = [sys.executable, naive_refresher.__file__, str(theirs.file), theirs.token_url]
    open_theirs, open_ours = theirs.provider.hold(), provider.hold()
    running = [lamplighter.start(program=naive), lamplighter.start("refresh", "work")]
    for asked, command in zip((theirs.provider, provider), running, strict=True):
        eventually(asked.token_requests)
        command.signal(signal.SIGTERM)
    running[0].wait()  # it goes at once
    open_theirs()
    open_ours()
    running[1].wait()
    eventually(lambda: (theirs.provider.refreshes, provider.refreshes) == (1, 1))

    assert not theirs.refresher.refresh()
    assert lamplighter.run("refresh", "work").code == 0
    assert (theirs.provider.reused, provider.reused) == (1, 0)


@POSIX
def test_way_5_a_lock_that_is_left_behind_and_a_clock_that_is_corrected(
    lamplighter: Lamplighter, provider: Provider, theirs: Theirs
) -> None:
    lamplighter.given(provider)
    assert lamplighter.run("refresh", "work").code == 0
    (ours,) = lamplighter.home.rglob("work.lock")
    by_age = theirs.file.with_suffix(".lock")
    assert LockByAge(by_age).try_acquire()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(ours)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        other.kill()
    ahead = WallClock().now().timestamp() + 5 * 3600
    for file in (by_age, ours):
        os.utime(file, (ahead, ahead))  # the clock was five hours ahead

    assert not LockByAge(by_age).try_acquire()  # and for five hours more
    assert lamplighter.run("refresh", "work").code == 0


@POSIX
@pytest.mark.parametrize("missing", ["refresh_token", "expires_in"])
def test_way_6_an_answer_that_leaves_out_what_has_not_changed(
    lamplighter: Lamplighter, provider: Provider, theirs: Theirs, missing: str
) -> None:
    lamplighter.given(provider)
    for asked in (provider, theirs.provider):
        asked.more = {missing: ...}

    assert not theirs.refresher.refresh()
    assert [lamplighter.run("refresh", "work").code for _ in range(2)] == [0, 0]
    assert (provider.refreshes, provider.reused) == (2, 0)


async def test_way_8_a_certificate_authority_that_only_the_system_knows(
    tmp_path: Path, theirs: Theirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, bundle = trustme.CA(), tmp_path / "ca.pem"
    company.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    provider = OAuthProvider(HandClock())

    async with tls_server("127.0.0.1", company) as (origin, _):
        shipped = httpx.create_ssl_context(trust_env=False)  # the authorities that the library brings along
        naive = NaiveRefresher(theirs.file, f"{origin}/token")
        assert not await asyncio.to_thread(naive.refresh, shipped)
        assert not theirs.file.exists()
        account = named(origin)
        assert (await provider.refresh(account, held(account))).access_token == Secret("A1")
    async with tls_server("127.0.0.1", trustme.CA()) as (origin, _):
        found = await failure(provider, named(origin))
    assert (found.kind, found.kind in ENDS_SIGN_IN) == (FailureKind.UNTRUSTED, False)
    assert "does not verify" in found.message


@POSIX
def test_way_9_an_access_token_that_has_ended_while_the_sign_in_lives(
    lamplighter: Lamplighter, provider: Provider, theirs: Theirs
) -> None:
    theirs.given(age=7200)
    lamplighter.given(provider, life=3600, age=7200)
    provider.down()

    assert not theirs.refresher.is_signed_in
    assert lamplighter.run("token", "work").code != 0
    assert lamplighter.health() == "expired"
    provider.up()
    eventually(lambda: lamplighter.run("token", "work").code == 0)
    assert provider.refreshes == 1


async def test_way_11_a_port_that_is_taken_and_a_stray_request() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            code_at(port)
        async with listening() as listener:
            assert f":{port}/" not in listener.redirect_uri
            assert (await outcome(listener))[0].code == Secret("C1")

    naive = asyncio.create_task(asyncio.to_thread(code_at, port))
    await asyncio.to_thread(eventually, lambda: stray(port))
    assert await naive is None
    async with listening() as listener:
        origin = listener.redirect_uri.rpartition("/")[0]
        assert (await Browser().get(f"{origin}/favicon.ico")).status == 404
        assert (await outcome(listener))[0].code == Secret("C1")


def stray(port: int) -> bool:
    """Whether a browser's own question for an icon got an answer."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/favicon.ico", trust_env=False, timeout=20).status_code == 200
    except httpx.ConnectError:
        return False


@POSIX
def test_way_12_pages_that_nobody_asked_for(
    lamplighter: Lamplighter, provider: Provider, theirs: Theirs, tmp_path: Path
) -> None:
    lamplighter.given(provider)
    browser = browser_at(tmp_path / "browser")
    lamplighter.environment["BROWSER"] = str(browser)
    for asked in (provider, theirs.provider):
        asked.answer(json_response(400, error="invalid_grant"))
    with lamplighter.applet():
        for _ in range(3):
            theirs.refresher.refresh()
            lamplighter.run("refresh", "work")
        lamplighter.until_health("sign-in-needed")
        unasked = opened_by(browser)
        login = lamplighter.start("login", "work")
        eventually(lambda: opened_by(browser) == 1)
        login.signal(signal.SIGINT)
        login.wait()

    assert (theirs.pages(), unasked) == (3, 0)
