"""The seed, line by line: a background refresh for tokens of one hour and of eight, on a virtual clock.

The server takes JSON bodies, wants `state` in the exchange, knows one redirect URI with a fixed port, and gives
refresh tokens that serve once: a second use of one ends the sign-in.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.fakes.hand_plan import HandPlan
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.waiting import until
from tests.integration.hostile_server import Browser, HandClock, json_response
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.base.http.server import HttpServer, Limits, Request, Response, bind_loopback
from tray_app.base.paths import places_in
from tray_app.bootstrap import Environment
from tray_app.core.errors import LamplighterError
from tray_app.core.health import Health
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.scheduler import Heartbeat
from tray_app.interfaces.applet import Applet

REDIRECT_URI = "http://localhost:54545/callback"
HOUR = timedelta(hours=1)


class SingleUseServer:
    """Refresh tokens serve once; every dialect of the seed is demanded, not merely accepted."""

    def __init__(self, life: timedelta) -> None:
        self.life = life
        self.times: list[Any] = []
        self.down = False
        self.status = 503
        """What it answers while it is down."""
        self.revoked = False
        self.state = ""
        self.current = ""
        self.wrong: list[str] = []
        self._numbers = itertools.count(1)
        self._server = HttpServer(self._answer, Limits(body=100_000))
        self.clock = HandClock()

    async def __aenter__(self) -> Self:
        (listening,) = bind_loopback("127.0.0.1", 0)
        self.base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await self._server.listen(listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def give(self) -> dict[str, Any]:
        number = next(self._numbers)
        self.current = f"R{number}"
        return {
            "access_token": f"A{number}",
            "refresh_token": self.current,
            "token_type": "Bearer",
            "expires_in": int(self.life.total_seconds()),
        }

    async def _answer(self, request: Request) -> Response:
        self.times.append(self.clock.time)
        if self.down:
            return Response(self.status)
        sent = json.loads(request.body)
        if request.header("content-type") != "application/json":
            self.wrong.append("not JSON")
        if sent["grant_type"] == "authorization_code":
            if (sent.get("state"), sent["redirect_uri"]) != (self.state, REDIRECT_URI):
                self.wrong.append("state or redirect URI")
            self.revoked = False
            return json_response(200, **self.give())
        if self.revoked or sent["refresh_token"] != self.current:
            self.revoked = True
            return json_response(400, error="invalid_grant")
        return json_response(200, **self.give())


class Person:
    """A browser that opens only when it is told to, and a person who approves in it."""

    def __init__(self, server: SingleUseServer) -> None:
        self.opened: list[str] = []
        self._server = server

    def open(self, url: str) -> bool:
        self.opened.append(url)
        return True

    async def approve(self) -> str:
        asked = dict(parse_qsl(urlsplit(self.opened[-1]).query))
        self._server.state = asked["state"]
        answer = urlencode({"code": "C1", "state": asked["state"]})
        return (await Browser().get(f"{asked['redirect_uri']}?{answer}")).text


class Stage:
    """The real applet, all of it but the panel, on a virtual clock."""

    def __init__(self, server: SingleUseServer, applet: Applet, plan: HandPlan, notifier: RecordingNotifier) -> None:
        self.server = server
        self.applet = applet
        self.plan = plan
        self.notifier = notifier
        self.person = applet.browser
        self.refresher = applet.engine.account("work")

    async def pass_by(self, **time: float) -> None:
        await self.plan.pass_by(timedelta(**time), lambda: not self.refresher.busy)

    async def sign_in(self) -> None:
        self.applet.sign_in("work")
        await until(lambda: self.person.opened)
        await self.person.approve()
        await until(lambda: self.refresher.health is Health.FRESH)

    @property
    def health(self) -> Health:
        return self.refresher.health


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the applet, with tokens of a life in its store of which some time has passed."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(
            life: timedelta = HOUR,
            held: timedelta | None = None,
            make_plan: Any = None,
            retry: str = "",
            more: str = "",
        ) -> Stage:
            server = await stack.enter_async_context(SingleUseServer(life))
            clock = server.clock
            here = places_in(tmp_path)
            here.config_file.write_text(
                f'store = "memory"\n{retry}\n[accounts.work]\nclient_id = "tray"\ntoken_request = "json"\n'
                f'authorization_endpoint = "{server.base}/authorize"\ntoken_endpoint = "{server.base}/token"\n'
                f'redirect_uri = "{REDIRECT_URI}"\nexchange_parameters = ["state"]\nscopes = ["openid"]\n{more}'
            )
            store = MemoryStore()
            if held is not None:
                given = server.give()
                await store.save(
                    "work",
                    TokenSet(
                        access_token=Secret(given["access_token"]),
                        token_type="Bearer",
                        received_at=clock.time - held,
                        lifetime=life,
                        refresh_token=Secret(given["refresh_token"]),
                        scopes=("openid",),
                        subject=None,
                        sign_in_ends_at=None,
                        bound_to=f"{server.base}/token tray",
                    ),
                )
            plans: list[Any] = []

            def plan(look: Any, at: Any) -> Any:
                plans.append((make_plan or HandPlan)(look, at))
                return plans[-1]

            notifier = RecordingNotifier()
            world = Environment(here, clock, draw=lambda: 0.5, store=store, make_plan=plan)
            applet = Applet(world, Person(server), notifier)
            ready = asyncio.Event()
            running = asyncio.create_task(applet.run(ready.set))

            async def end() -> None:
                applet.end()
                await running

            stack.push_async_callback(end)
            await asyncio.wait_for(ready.wait(), 20)
            return Stage(server, applet, plans[0], notifier)

        yield started


async def test_a_fresh_token_at_the_start_is_green_with_no_request_and_no_browser(start):
    stage = await start(held=timedelta(minutes=5))
    await stage.pass_by(minutes=20)

    assert stage.health is Health.FRESH
    assert stage.server.times == []
    assert stage.person.opened == []


@pytest.mark.parametrize("minutes", [51, 59, 61, 600], ids=["within the lead", "nearly over", "over", "long over"])
async def test_a_token_within_the_lead_at_the_start_is_refreshed_at_once_without_a_browser(start, minutes):
    stage = await start(held=timedelta(minutes=minutes))
    await until(lambda: stage.health is Health.FRESH and not stage.refresher.busy)

    assert stage.refresher.record.tokens.access_token.reveal() == "A2"
    assert len(stage.server.times) == 1
    assert stage.person.opened == []


async def test_a_token_of_one_hour_is_refreshed_47_to_50_minutes_in_on_its_own_before_expiry(start):
    stage = await start(held=timedelta(0))
    begin = stage.server.clock.time
    await stage.pass_by(hours=5)

    times = [begin, *stage.server.times]
    minutes = [(after - before) / timedelta(minutes=1) for before, after in itertools.pairwise(times)]
    assert len(minutes) == 6
    assert all(47 <= gap <= 50 for gap in minutes), minutes
    assert stage.server.wrong == []
    assert stage.health is Health.FRESH


async def test_a_token_of_eight_hours_is_refreshed_once_in_its_life_and_before_its_end(start):
    stage = await start(life=timedelta(hours=8), held=timedelta(0))
    begin = stage.server.clock.time
    await stage.pass_by(hours=24)

    first, *_ = stage.server.times
    assert timedelta(hours=7) < first - begin < timedelta(hours=8)
    assert len(stage.server.times) == 3


async def test_attempts_back_off_exponentially_and_an_outage_heals_without_a_browser(start):
    stage = await start(held=timedelta(0), retry='[retry]\nfirst = "10s"\nlimit = "20m"\n')
    stage.server.down = True
    await stage.pass_by(hours=2)
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(stage.server.times)]
    healths = [stage.health]
    stage.server.down = False
    await stage.pass_by(minutes=20)

    assert gaps[:7] == pytest.approx([10, 20, 40, 80, 160, 320, 600], abs=1)
    assert all(gap == pytest.approx(600, abs=1) for gap in gaps[7:])
    assert [*healths, stage.health] == [Health.EXPIRED, Health.FRESH]
    assert stage.person.opened == []
    assert stage.notifier.seen == []


async def test_a_person_is_told_when_a_sign_in_is_needed_and_no_browser_opens_by_itself(start):
    stage = await start(held=timedelta(0))
    stage.server.revoked = True
    await stage.pass_by(hours=3)
    await until(lambda: stage.notifier.titles)

    assert stage.health is Health.SIGN_IN_NEEDED
    assert stage.notifier.titles == ["Sign in to work"]
    assert len(stage.notifier.seen) == 1
    assert len(stage.server.times) == 1  # a refused token is not sent again
    assert stage.person.opened == []


async def test_the_sign_in_action_really_starts_the_browser_flow_also_for_the_third_incident_of_the_day(start):
    stage = await start(held=timedelta(0))
    for incident in range(1, 4):
        stage.server.revoked = True
        await stage.pass_by(hours=1)
        await until(lambda: stage.notifier.titles == ["Sign in to work"])
        stage.notifier.press("Sign in to work", "sign-in")
        await until(lambda number=incident: len(stage.person.opened) == number)
        page = await stage.person.approve()
        await until(lambda: stage.health is Health.FRESH)

        assert "Signed in" in page
        await until(lambda: stage.notifier.titles == [])
    assert stage.server.wrong == []


async def test_later_brings_the_notification_back_in_an_hour(start):
    stage = await start(held=timedelta(0))
    stage.server.revoked = True
    await stage.pass_by(hours=1)
    await until(lambda: stage.notifier.titles)
    stage.notifier.press("Sign in to work", "later")
    await stage.pass_by(minutes=58)
    before = list(stage.notifier.titles)
    await stage.pass_by(minutes=4)
    await until(lambda: stage.notifier.titles)

    assert before == []
    assert stage.notifier.titles == ["Sign in to work"]


async def test_a_second_sign_in_replaces_the_first(start):
    stage = await start()
    stage.applet.sign_in("work")
    await until(lambda: len(stage.person.opened) == 1)
    stage.applet.sign_in("work")
    await until(lambda: len(stage.person.opened) == 2)
    await stage.person.approve()
    await until(lambda: stage.health is Health.FRESH)

    await until(lambda: not stage.applet.engine.sign_ins.accounts)
    assert stage.server.wrong == []


async def test_a_token_is_handed_out_in_an_outage_as_long_as_it_lives_and_never_after(start):
    stage = await start(held=timedelta(0))
    stage.server.down = True
    await stage.pass_by(minutes=55)
    handed = await stage.applet.engine.token("work")
    await stage.pass_by(minutes=10)

    assert handed.access_token.reveal() == "A1"
    with pytest.raises(LamplighterError) as raised:
        await stage.applet.engine.token("work")
    assert raised.value.exit_code == 4


async def test_fifty_askers_of_an_expired_token_are_one_request(start):
    stage = await start(held=timedelta(0))
    stage.server.clock.pass_by(hours=2)  # the laptop slept; nobody has looked yet
    found = await asyncio.gather(*(stage.applet.engine.token("work") for _ in range(50)))

    assert {tokens.access_token.reveal() for tokens in found} == {"A2"}
    assert len(stage.server.times) == 1


async def test_the_persons_own_command_runs_after_each_refresh_and_gets_no_token(start, tmp_path):
    told = tmp_path / "told"
    script = tmp_path / "after refresh"
    script.write_text(f'#!/bin/sh\nenv > "{told}.new"; mv "{told}.new" "{told}"\n')
    script.chmod(0o700)
    stage = await start(held=timedelta(0), more=f'on_refresh = ["{script}"]\n')
    before = told.exists()
    await stage.pass_by(hours=1)
    await until(told.exists)

    assert not before
    assert "LAMPLIGHTER_ACCOUNT=work" in told.read_text().splitlines()
    assert "A2" not in told.read_text()


async def test_a_command_that_cannot_be_run_costs_nothing_but_a_line_in_the_log(start, caplog):
    stage = await start(held=timedelta(0), more='on_refresh = ["/nonexistent/command"]\n')
    await stage.pass_by(hours=2)

    assert stage.health is Health.FRESH
    assert "on_refresh cannot be run" in caplog.text


async def test_stop_ends_timer_listener_and_jobs(start):
    plans = []

    def real(look, clock):
        plans.append(Heartbeat(look, clock))
        return plans[0]

    stage = await start(held=timedelta(0), make_plan=real)
    stage.applet.sign_in("work")
    await until(lambda: stage.person.opened)
    stray = await Browser().get("http://localhost:54545/favicon.ico")
    jobs = plans[0].jobs
    await stage.applet.engine.stop()

    assert stray.status == 404
    assert jobs >= 1
    assert plans[0].jobs == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 54545), timeout=5)
    left = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in left if name.startswith(("refresh", "sign-in"))}


async def test_a_provider_that_turns_everyone_away_is_told_once_with_a_sign_in_and_asked_all_the_same(start):
    stage = await start(held=timedelta(minutes=45))
    stage.server.down, stage.server.status = True, 403
    await stage.pass_by(minutes=14)
    while_it_lives = list(stage.notifier.titles)
    await stage.pass_by(minutes=40)
    await until(lambda: stage.notifier.seen)
    requests = len(stage.server.times)
    await stage.pass_by(minutes=20)
    told = [notification.title for notification in stage.notifier.seen]
    body = stage.notifier.seen[0].body
    stage.server.down = False
    await stage.pass_by(minutes=6)

    assert while_it_lives == []
    assert told == ["Sign in to work"]
    assert "maybe a new sign-in helps" in body
    assert len(stage.server.times) > requests
    await until(lambda: not stage.notifier.titles)
    assert (stage.health, stage.person.opened) == (Health.FRESH, [])
