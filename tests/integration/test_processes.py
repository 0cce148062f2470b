"""Many processes on one home, deaths without a word, and stopped or set clocks: one refresh a generation, always.

The counts here are small enough for every day. In full, as the issue has them (some minutes):

    LAMPLIGHTER_GENERATIONS=50 LAMPLIGHTER_KILLS=100 .venv/bin/pytest tests/integration/test_processes.py --timeout 3000
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import arrive
from tests.keyring_session import eventually
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.servers.person import redirect_after_approval

GENERATIONS = int(os.environ.get("LAMPLIGHTER_GENERATIONS", "3"))
KILLS = int(os.environ.get("LAMPLIGHTER_KILLS", "3"))
TTL = 8
"""Seconds that an access token lives: refreshed after six or so."""

ENGINE_ALONE = """
import asyncio, signal
from tray_app.adapters.config import parser as config
from tray_app.bootstrap import Environment, build_engine
from tray_app.base.paths import places
async def main():
    here = places()
    engine = build_engine(Environment(here), config.load(here.config_file))
    await engine.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("keeping", flush=True)
    await ended.wait()
    await engine.stop()
asyncio.run(main())
"""
"""A process that takes no instance lock, as two applets of an older version would be."""


@pytest.fixture
def strict():
    if missing := oidc_provider_missing():
        pytest.skip(missing)
    with OidcProvider(access_token_ttl=TTL) as provider:
        yield provider


def signed_in(lamplighter, provider):
    lamplighter.configure(
        f'[retry]\nlimit = "1s"\n[accounts.work]\nissuer = "{provider.issuer}"\nclient_id = "{provider.client_id}"\n'
        'scopes = ["openid", "offline_access"]\nauthorization_parameters = { prompt = "consent" }\n'
    )
    login = lamplighter.start("login", "work", "--no-browser")
    arrive(redirect_after_approval(login.line()))
    assert login.wait().code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="only where processes have signals")
def test_whoever_keeps_and_whoever_asks_a_generation_is_one_refresh_and_no_grant_is_revoked(lamplighter, strict):
    signed_in(lamplighter, strict)
    alone = [lamplighter.start("-c", ENGINE_ALONE, program=[sys.executable]) for _ in range(2)]
    tokens, refused = set(), []
    began = time.monotonic()
    with lamplighter.applet():
        for refresher in alone:
            assert refresher.line() == "keeping"
        while strict.refreshes < GENERATIONS:
            asked = lamplighter.run_all(*[["token", "work"]] * 20)
            tokens |= {one.out for one in asked if one.code == 0}
            refused += [one for one in asked if one.code]
            assert lamplighter.run("run", "--headless").code == 0  # a second start finds the first
        health = lamplighter.health()
    took = time.monotonic() - began
    for refresher in alone:
        refresher.signal(signal.SIGTERM)
        assert refresher.wait().code == 0

    assert refused == []
    assert health == "fresh"
    assert strict.refused == 0
    assert not [event for event in strict.events if "revoke" in event["event"]]
    assert len(tokens) <= strict.refreshes + 1
    assert strict.refreshes <= took / (TTL * 0.7) + 2  # nobody refreshed what another had just refreshed


@pytest.mark.skipif(sys.platform == "win32", reason="only where processes have signals")
def test_kill_9_between_refreshes_again_and_again_costs_nothing(lamplighter, provider):
    lamplighter.given(provider, life=3600, age=0)
    for number in range(KILLS):
        running = lamplighter.start("run", "--headless")
        lamplighter.until_it_answers(running)
        assert lamplighter.ask("POST", "/v1/accounts/work/refresh").status == 200
        assert provider.refreshes == number + 1
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(30)
    with lamplighter.applet():
        assert lamplighter.health() == "fresh"

    assert provider.reused == 0
    assert "Traceback" not in lamplighter.log


@pytest.mark.skipif(sys.platform == "win32", reason="only where processes have signals")
def test_an_applet_that_was_stopped_past_the_end_of_its_token_refreshes_once_when_it_goes_on(lamplighter, provider):
    lamplighter.given(provider)
    provider.life = 6
    with lamplighter.applet() as running:
        assert lamplighter.ask("POST", "/v1/accounts/work/refresh").status == 200
        running.signal(signal.SIGSTOP)
        provider.life = 3600
        threading.Event().wait(7)  # its token ends meanwhile
        while_stopped = provider.refreshes
        running.signal(signal.SIGCONT)
        eventually(lambda: provider.refreshes == 2, 35)
        lamplighter.until_health("fresh")

    assert (while_stopped, provider.refreshes, provider.reused) == (1, 2, 0)


@pytest.fixture
def faked(lamplighter, tmp_path):
    """`lamplighter` under a wall clock that a file sets while it runs; its monotonic clock stays true."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        pytest.skip("faketime is not installed")
    file = tmp_path / "clock"
    file.write_text("+0")
    lamplighter.environment |= {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    def set_by(text):
        fresh = tmp_path / "clock.new"
        fresh.write_text(text)
        fresh.replace(file)

    yield set_by
    for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC"):
        lamplighter.environment.pop(name, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
@pytest.mark.parametrize(("step", "refreshes"), [("+2h", 1), ("-2h", 0)])
def test_a_clock_that_is_set_under_the_running_applet_costs_at_most_a_refresh(
    lamplighter, provider, faked, step, refreshes
):
    lamplighter.given(provider, life=3600, age=0)
    with lamplighter.applet():
        before = lamplighter.ask("GET", "/v1/accounts/work/token").body
        faked(step)
        after = lamplighter.ask("GET", "/v1/accounts/work/token").body
        lamplighter.until_health("fresh")

    assert provider.refreshes == refreshes
    assert (after["access_token"] == before["access_token"]) == (refreshes == 0)
    assert provider.reused == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
@pytest.mark.parametrize("year", ["+365d", "-365d"])
def test_started_again_with_a_clock_that_is_a_year_off_and_then_right_nobody_signs_in(
    lamplighter, provider, faked, year
):
    lamplighter.given(provider, life=3600, age=0)
    faked(year)
    with lamplighter.applet():
        eventually(lambda: provider.refreshes >= 1, 90)  # each look at this clock reads a file
        lamplighter.until_health("fresh", seconds=90)
    faked("+0")
    with lamplighter.applet():
        lamplighter.until_health("fresh", seconds=90)
        assert lamplighter.run("token", "work").code == 0

    assert provider.refreshes <= 2
    assert provider.reused == 0
