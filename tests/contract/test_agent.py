"""What programs can count on when they ask the agent: at its socket, and on Windows at its named pipe."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.builders import tokens
from tests.keyring_session import eventually
from tray_app.base.clock import WallClock
from tray_app.base.paths import Places, places, places_in
from tray_app.base.socket_path import SOCKET_VARIABLE
from tray_app.core.account import Account, Configuration
from tray_app.core.errors import LamplighterError, NoApplet, SignInNeeded, Unavailable, UnknownAccount
from tray_app.core.events import SignInChanged
from tray_app.core.ports import SignInPrompt
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.events import Events
from tray_app.interfaces.agent import http_protocol, peer
from tray_app.interfaces.agent.client import AgentClient, _connected
from tray_app.interfaces.agent.fast_token import fetched
from tray_app.interfaces.agent.server import Agent

T = TypeVar("T")
BOUND = 30.0
"""Seconds; generous: an answer takes less than one of a thousand."""


WORK = {"name": "work", "health": "fresh", "hosts": ["git.example.com"], "resource": "https://r"}


class Engine:
    """What the agent asks, with two accounts: `work` has tokens, `home` has none. It can be told to keep silent."""

    def __init__(self) -> None:
        self.events = Events()
        self.access_token = "canary-token"
        self.configuration = Configuration({"work": Account("work", hosts=("git.example.com",), resource="https://r")})
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.signed_out: list[str] = []

    def status_json(self, *, running: bool) -> dict[str, Any]:
        return {"running": running, "accounts": [{"name": "work", "health": "fresh"}]}

    def token_at_hand(self, name: str) -> TokenSet | None:
        return self._tokens() if name == "work" and self.speaks.is_set() else None

    async def token(self, name: str, min_ttl: timedelta, *, wait: bool) -> TokenSet:
        await self.speaks.wait()
        if name == "home":
            raise SignInNeeded("home: sign in, please")
        if name != "work":
            raise UnknownAccount(f"no account {name}")
        return self._tokens()

    async def sign_out(self, name: str) -> str | None:
        self.signed_out.append(name)
        return None

    async def sign_in(self, name: str, browser: object, flow: object) -> SignInPrompt:
        raise NotImplementedError

    paste = set_client_secret = forget = cancel_sign_in = refresh = sign_in

    def _tokens(self) -> TokenSet:
        return replace(tokens(), access_token=Secret(self.access_token))


class Place:
    """A runtime folder of its own, and an agent there in a thread with its loop."""

    def __init__(self, here: Places) -> None:
        self.here = here
        self.client = AgentClient(here.socket)
        self.ended = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.engine = self.do(self._engine)
        self.agent = self.make()

    async def _engine(self) -> Engine:
        return Engine()

    def make(self) -> Agent:
        return Agent(self.engine, _no_browser, self.ended.set, lambda: None, WallClock())  # type: ignore[arg-type]  # it opens nothing

    def do(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Runs it on the loop; its result."""

        async def done() -> Any:
            result = act(*arguments)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(BOUND)

    def timers(self) -> int:
        """How often the loop will wake up although nobody comes."""
        return self.do(lambda: sum(not timer.cancelled() for timer in self._loop._scheduled))  # type: ignore[attr-defined]  # asyncio tells nobody

    def open(self) -> None:
        self.do(self.agent.bind, self.here.socket)
        self.do(self.agent.serve)

    def close(self) -> None:
        self.do(self.agent.close)
        self.do(asyncio.sleep, 0)  # what was aborted is closed in the loop's next round
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BOUND)
        self._loop.close()


_no_browser = object()


@pytest.fixture
def unopened() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="lamp-") as folder:  # short, as a socket's path has to be
        place = Place(places_in(Path(folder)))
        yield place
        place.close()


@pytest.fixture
def place(unopened: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    unopened.open()
    monkeypatch.setenv(SOCKET_VARIABLE, str(unopened.here.socket))
    return unopened


def at_once(act: Callable[[int], T], times: int) -> list[T]:
    """The results of `act`, called by so many threads that have all begun."""
    begun = threading.Barrier(times)

    def one(number: int) -> T:
        begun.wait(BOUND)
        return act(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_who_asks_is_answered(place: Place) -> None:
    assert place.client.alive()
    assert place.client.ask("GET", "/v1/status", seconds=BOUND) == {"running": True, "accounts": [WORK]}
    assert place.client.ask("GET", "/v1/accounts/work/token", seconds=BOUND)["access_token"] == "canary-token"
    assert place.client.ask("POST", "/v1/accounts/work/logout", {}, BOUND) == {"unrevoked": None}
    assert place.engine.signed_out == ["work"]


@pytest.mark.parametrize(("name", "error"), [("home", SignInNeeded), ("other", UnknownAccount)])
def test_a_refusal_arrives_as_the_error_that_it_is(place: Place, name: str, error: type[LamplighterError]) -> None:
    with pytest.raises(error, match=name):
        place.client.ask("GET", f"/v1/accounts/{name}/token", seconds=BOUND)


def test_the_token_command_has_it_the_short_way(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert fetched(["work"]) == 0
    assert capfd.readouterr().out == "canary-token\n"
    assert fetched(["work", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["access_token"] == "canary-token"
    assert fetched(["home"]) == SignInNeeded.exit_code
    assert "sign in, please" in capfd.readouterr().err


def test_every_command_looks_where_the_agent_is(unopened: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    unopened.open()
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    monkeypatch.setenv("LAMPLIGHTER_HOME", str(unopened.here.home))

    assert places().socket == unopened.here.socket
    assert fetched(["work"]) == 0


def test_what_happens_is_told_while_others_ask(place: Place) -> None:
    events = place.client.events()
    begun = list(itertools.islice(events, 2))
    place.client.ask("GET", "/v1/status", seconds=BOUND)
    place.do(place.engine.events.publish, SignInChanged("work", "started", "waiting"))
    told = next(events)
    place.do(place.engine.events.close)
    rest = list(events)

    assert begun == [("open", {}), ("health", WORK)]
    assert told == ("sign-in", {"account": "work", "state": "started", "message": "waiting"})
    assert rest == []


def test_many_may_come_in_the_same_moment(place: Place) -> None:
    def ask(_: int) -> str:
        return str(place.client.ask("GET", "/v1/accounts/work/token", seconds=BOUND)["access_token"])

    assert at_once(ask, 64) == ["canary-token"] * 64


def test_those_who_come_and_say_nothing_keep_nobody_waiting(place: Place) -> None:
    with ExitStack() as silent:
        for _ in range(50):
            silent.callback(_connected(place.here.socket, BOUND).close)

        assert place.client.ask("GET", "/v1/status", seconds=BOUND)["running"]
    assert place.client.alive()


def test_once_all_have_gone_nothing_is_left_to_wake_it_up(place: Place) -> None:
    with ExitStack() as silent:
        silent.callback(_connected(place.here.socket, BOUND).close)
        assert place.client.ask("GET", "/v1/status", seconds=BOUND)["running"]
        while_one_is_there = place.timers()

    assert while_one_is_there > 0
    eventually(lambda: place.timers() == 0)


def test_a_long_answer_arrives_whole_and_one_that_nobody_reads_keeps_nobody_waiting(place: Place) -> None:
    place.engine.access_token = "long" * 500_000
    question = b"GET /v1/accounts/work/token HTTP/1.1\r\nHost: lamplighter\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(10):
            idle: Any = _connected(place.here.socket, BOUND)
            stack.callback(idle.close)
            idle.sendall(question)

        found = place.client.ask("GET", "/v1/accounts/work/token", seconds=BOUND)

    assert found["access_token"] == place.engine.access_token


def test_the_token_command_has_a_long_one_whole(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.engine.access_token = "long" * 500_000

    assert fetched(["work"]) == 0
    assert capfd.readouterr().out == f"{place.engine.access_token}\n"


def test_a_token_that_has_changed_is_given_as_it_is_now(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert fetched(["work"]) == 0
    place.engine.access_token = "another"
    assert fetched(["work"]) == 0

    assert capfd.readouterr().out == "canary-token\nanother\n"


def test_who_asks_before_it_answers_waits_for_it(unopened: Place) -> None:
    unopened.do(unopened.agent.bind, unopened.here.socket)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(unopened.client.ask, "GET", "/v1/status", None, BOUND)
        unopened.do(unopened.agent.serve)

        assert asked.result(BOUND)["running"]


def test_a_client_that_sends_byte_by_byte_has_no_more_time_than_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "SECONDS", 0.3)
    moment = threading.Event()
    with ExitStack() as stack:
        slow: Any = _connected(place.here.socket, BOUND)
        stack.callback(slow.close)
        slow.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nA: ")
        with pytest.raises(OSError):  # noqa: PT011, PT012 - Broken pipe, or reset: as the platform has it
            for _ in range(2000):
                slow.sendall(b"x")
                moment.wait(0.005)


def test_no_answer_in_time_is_told_as_such_and_the_next_one_is_heard(place: Place) -> None:
    place.do(place.engine.speaks.clear)
    with pytest.raises(Unavailable, match="not answered"):
        place.client.ask("GET", "/v1/accounts/work/token", seconds=0.2)
    place.do(place.engine.speaks.set)

    assert place.client.ask("GET", "/v1/accounts/work/token", seconds=BOUND)["access_token"] == "canary-token"


@pytest.fixture
def deaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that listens and accepts nobody, as a stopped applet's does, or one's that may open no more files."""
    if sys.platform == "win32":
        pytest.skip("only where there are Unix sockets")
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 1)
    with tempfile.TemporaryDirectory(prefix="lamp-") as folder, socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.setenv(SOCKET_VARIABLE, f"{folder}/agent.sock")
        listening.bind(f"{folder}/agent.sock")
        listening.listen(0)
        yield listening


def assert_nobody_waits(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    for act in (lambda client: client.ask("GET", "/v1/status"), lambda client: next(client.events())):
        with pytest.raises(Unavailable, match="does not respond"):
            act(AgentClient(path))
    assert fetched(["work"]) == Unavailable.exit_code
    assert "does not respond" in capfd.readouterr().err
    assert time.monotonic() - began < 20  # instead of 75 for each


def test_a_request_that_is_not_read_is_not_waited_for(deaf: socket.socket, capfd: pytest.CaptureFixture[str]) -> None:
    deaf.listen(8)
    assert_nobody_waits(places().socket, capfd)


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a connection waits for a place in the backlog")
def test_a_connection_that_is_not_accepted_is_not_waited_for(
    deaf: socket.socket, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(deaf.getsockname())  # all that the backlog takes
        assert_nobody_waits(places().socket, capfd)
        with pytest.raises(Unavailable, match="does not respond"):
            AgentClient(places().socket).alive()


def test_a_request_that_was_read_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a refresh takes."""
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 1)
    place.do(place.engine.speaks.clear)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(place.client.ask, "GET", "/v1/accounts/work/token", None, BOUND)
        with pytest.raises(TimeoutError):
            asked.result(1.5)
        place.do(place.engine.speaks.set)

        assert asked.result(BOUND)["access_token"] == "canary-token"


def test_a_second_one_at_the_same_place_is_refused_and_the_first_goes_on(place: Place) -> None:
    with pytest.raises(LamplighterError, match="another program answers"):
        place.do(place.make().bind, place.here.socket)

    assert place.client.alive()


def test_where_it_has_ended_nobody_answers_and_the_next_one_may_begin(place: Place) -> None:
    place.do(place.agent.close)
    was_alive = place.client.alive()
    with pytest.raises(NoApplet):
        place.client.ask("GET", "/v1/status", seconds=BOUND)
    gone = fetched(["work"])
    place.agent = place.make()
    place.open()

    assert not was_alive
    assert gone is None
    assert place.client.alive()


def test_it_ends_when_it_is_asked_to(place: Place) -> None:
    place.client.ask("POST", "/v1/quit", seconds=BOUND)

    assert place.ended.wait(BOUND)


def test_two_homes_do_not_meet(place: Place, tmp_path: Path) -> None:
    other = places_in(tmp_path / "other home")

    assert other.socket != place.here.socket
    assert not AgentClient(other.socket).alive()


@pytest.mark.skipif(sys.platform == "win32", reason="only where the agent has a socket")
def test_a_program_of_another_user_is_not_answered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(BOUND)
        one.connect(str(place.here.socket))
        try:
            one.sendall(b"GET /v1/token?account=work HTTP/1.1\r\nHost: lamplighter\r\nConnection: close\r\n\r\n")
            answer = one.recv(65536)
        except ConnectionError:  # hung up on before the request was written (a broken pipe), or before it was read
            answer = b""

    assert answer == b""
