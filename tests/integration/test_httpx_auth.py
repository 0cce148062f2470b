"""`LamplighterAuth`: a program in Python whose requests go on through an expiry, a revocation, a restart."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import Lamplighter, Provider
from tests.servers.token_server import TokenServer
from tray_app import LamplighterAuth
from tray_app.core.errors import NoApplet, SignInNeeded, UnknownAccount
from tray_app.interfaces.agent import LamplighterAuth as OfTheAgent

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where there are Unix sockets")


@pytest.fixture
def applet(lamplighter: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    lamplighter.given(provider)
    with lamplighter.applet():
        yield lamplighter


@pytest.fixture
def api() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


def auth(applet: Lamplighter, account: str = "work") -> LamplighterAuth:
    return LamplighterAuth(account, socket=applet.socket)


def client(auth: LamplighterAuth) -> httpx.Client:
    return httpx.Client(auth=auth, trust_env=False)


def test_it_has_two_names() -> None:
    assert LamplighterAuth is OfTheAgent
    assert issubclass(LamplighterAuth, httpx.Auth)


def test_a_request_carries_the_token(applet: Lamplighter, api: TokenServer) -> None:
    with client(auth(applet)) as program:
        assert program.get(api.url).status_code == 200

    assert api.tokens == ["canary-access-1"]


def test_each_request_carries_the_token_of_its_moment(applet: Lamplighter, api: TokenServer) -> None:
    with client(auth(applet)) as program:
        program.get(api.url)
        applet.ask("POST", "/v1/accounts/work/refresh")
        program.get(api.url)

    assert api.tokens == ["canary-access-1", "canary-access-2"]


def test_a_token_that_is_turned_down_is_refreshed_and_the_request_repeated(
    applet: Lamplighter, api: TokenServer
) -> None:
    api.accepts = lambda token: token != "canary-access-1"
    with client(auth(applet)) as program:
        assert program.post(api.url, content=b"a body").status_code == 200

    assert api.tokens == ["canary-access-1", "canary-access-2"]
    assert [asked.body for asked in api.asked] == [b"a body", b"a body"]


def test_a_server_that_takes_no_token_is_asked_twice_and_no_more(
    applet: Lamplighter, api: TokenServer, provider: Provider
) -> None:
    api.accepts = lambda _: False
    with client(auth(applet)) as program:
        assert program.get(api.url).status_code == 401

    assert (len(api.tokens), provider.refreshes) == (2, 1)


def test_a_body_that_is_gone_is_not_sent_again(applet: Lamplighter, api: TokenServer, provider: Provider) -> None:
    api.accepts = lambda _: False
    with client(auth(applet)) as program:
        assert program.post(api.url, content=iter([b"a", b"b"])).status_code == 401

    assert ([asked.body for asked in api.asked], provider.refreshes) == ([b"ab"], 0)


def test_many_that_are_turned_down_at_once_make_one_refresh(
    applet: Lamplighter, api: TokenServer, provider: Provider
) -> None:
    api.accepts = lambda token: token != "canary-access-1"
    shared = auth(applet)

    def one(_: int) -> int:
        with client(shared) as program:
            return program.get(api.url).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(16))) == [200] * 16
    assert provider.refreshes == 1


async def test_the_asynchronous_client_is_served_too_and_its_loop_goes_on(
    applet: Lamplighter, api: TokenServer, provider: Provider
) -> None:
    api.accepts = lambda token: token != "canary-access-1"
    async with httpx.AsyncClient(auth=auth(applet), trust_env=False) as program:
        answers = await asyncio.gather(*(program.get(api.url) for _ in range(8)))

    assert [answer.status_code for answer in answers] == [200] * 8
    assert provider.refreshes == 1


def test_what_is_wrong_is_said_as_the_commands_say_it(
    applet: Lamplighter, api: TokenServer, provider: Provider
) -> None:
    with client(auth(applet, "nobody")) as program, pytest.raises(UnknownAccount, match="nobody"):
        program.get(api.url)
    provider.answer(json_response(400, error="invalid_grant"))
    assert applet.ask("POST", "/v1/accounts/work/refresh").status == 409
    with client(auth(applet)) as program, pytest.raises(SignInNeeded, match="lamplighter login work"):
        program.get(api.url)
    assert api.tokens == []


def test_without_an_applet_it_says_how_to_start_one(keyless: Lamplighter, api: TokenServer) -> None:
    with client(auth(keyless)) as program, pytest.raises(NoApplet, match="Start it: lamplighter"):
        program.get(api.url)


def test_the_example_of_the_readme_runs(applet: Lamplighter, api: TokenServer) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    [example] = [block for block in blocks if "LamplighterAuth" in block]
    program = example.replace("https://api.example.com/me", api.url)
    assert program != example
    done = subprocess.run(
        [sys.executable, "-c", program], env=applet.environment, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert api.tokens == ["canary-access-1"]
