"""Whatever other programs of the same user do to the socket, nobody else waits for a token because of it."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import Lamplighter, Provider
from tests.keyring_session import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where there are Unix sockets")
QUESTION = b"GET /v1/accounts/work/token HTTP/1.1\r\nHost: lamplighter\r\n\r\n"
MANY = 1000


@pytest.fixture
def agent(lamplighter: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    lamplighter.given(provider)
    with lamplighter.applet():
        yield lamplighter


@pytest.fixture(autouse=True)
def _as_many_files_as_it_takes() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def many(agent: Lamplighter, meet: Callable[[socket.socket], object]) -> Iterator[None]:
    """A thousand connections, each met like this and kept."""
    with contextlib.ExitStack() as kept:
        for _ in range(MANY):
            connected = kept.enter_context(agent.connect())
            with contextlib.suppress(OSError):  # it was let go already
                meet(connected)
        yield


MEETINGS: dict[str, Callable[[socket.socket], object]] = {
    "silent": lambda _: None,
    "half a head": lambda connected: connected.sendall(b"GET /v1/status HTTP/1.1\r\nHost: lampl"),
    "half a body": lambda connected: connected.sendall(
        b"POST /v1/accounts/work/refresh HTTP/1.1\r\nHost: lamplighter\r\nContent-Length: 9\r\n\r\n{"
    ),
    "asks and never reads": lambda connected: connected.sendall(QUESTION),
    "gone": lambda connected: connected.close(),
}


@pytest.mark.parametrize("meeting", MEETINGS)
def test_a_thousand_that_never_end_cost_nobody_a_token(agent: Lamplighter, meeting: str) -> None:
    with many(agent, MEETINGS[meeting]):
        done = agent.run("token", "work")
        reply = agent.ask("GET", "/v1/accounts/work/token")

    assert (done.code, done.out) == (0, "canary-access-1\n")
    assert reply.body["access_token"] == "canary-access-1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows another process's files")
def test_what_they_held_is_given_back(lamplighter: Lamplighter, provider: Provider) -> None:
    def files() -> int:
        return len(list(Path(f"/proc/{applet.process.pid}/fd").iterdir()))

    lamplighter.given(provider)
    with lamplighter.applet() as applet:
        before = files()
        with many(lamplighter, MEETINGS["half a head"]):
            eventually(lambda: files() > before + 100)
        eventually(lambda: files() <= before + 1)


def test_endless_headers_end(agent: Lamplighter) -> None:
    with agent.connect() as connected:
        connected.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(OSError, match=r"Broken pipe|reset"):  # noqa: PT012 - it goes on until it is stopped
            for _ in range(10_000):
                connected.sendall(b"X: " + b"x" * 100 + b"\r\n")


@pytest.mark.parametrize(("sent", "status"), [(b"no HTTP at all\r\n\r\n", 400), (b"GET /" + b"a" * 70_000, 431)])
def test_what_is_no_request_is_answered_as_one_that_is_not_understood(
    agent: Lamplighter, sent: bytes, status: int
) -> None:
    with agent.connect() as connected:
        connected.sendall(sent)
        head, _, body = b"".join(iter(lambda: connected.recv(65536), b"")).partition(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"] == "invalid_request"


def test_a_reader_that_never_reads_is_not_answered_for_ever(agent: Lamplighter) -> None:
    """The socket's buffers fill up, and then nothing more of it is read: it costs what it has sent, and no more."""
    with agent.connect() as connected:
        connected.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 100_000_000:
                sent += connected.send(QUESTION * 100)
        assert agent.ask("GET", "/v1/accounts/work/token").status == 200

    assert sent < 10_000_000


def test_a_hundred_questions_in_one_write_are_answered_in_order(agent: Lamplighter) -> None:
    status = b"GET /v1/status HTTP/1.1\r\nHost: lamplighter\r\n\r\n"
    answer = agent.raw((QUESTION + status) * 50)
    bodies = [piece.partition(b"\r\n\r\n")[2] for piece in re.split(rb"HTTP/1\.1 200 ", answer)[1:]]

    assert len(bodies) == 100
    assert all(b"canary-access-1" in body for body in bodies[::2])
    assert all(b'"running": true' in body for body in bodies[1::2])


def test_a_question_byte_by_byte_is_answered(agent: Lamplighter) -> None:
    with agent.connect() as connected:
        for at in range(len(QUESTION)):
            connected.sendall(QUESTION[at : at + 1])
        assert b"canary-access-1" in connected.recv(65_536)


def test_the_head_alone_is_answered_without_a_body(agent: Lamplighter) -> None:
    answer = agent.raw(b"HEAD /v1/status HTTP/1.1\r\nHost: lamplighter\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")


def test_an_odd_client_gets_its_body_read_in_chunks_and_after_a_word(agent: Lamplighter, provider: Provider) -> None:
    head = (
        b"POST /v1/accounts/work/refresh HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
    )
    with agent.connect() as connected:
        connected.sendall(head + b"\r\n")
        assert connected.recv(65_536) == b"HTTP/1.1 100 \r\n\r\n"
        connected.sendall(b"2\r\n{}\r\n0\r\n\r\n")
        assert connected.recv(65_536).startswith(b"HTTP/1.1 200 ")

    assert provider.refreshes == 1


def test_more_listeners_than_there_is_room_for_are_told_so(agent: Lamplighter) -> None:
    listeners = contextlib.ExitStack()
    with listeners:
        for _ in range(64):
            following = listeners.enter_context(agent.events())
            following()
        refused = agent.ask("GET", "/v1/events")
        token = agent.ask("GET", "/v1/accounts/work/token")

    assert (refused.status, refused.body["error"], token.status) == (503, "unavailable", 200)
    eventually(lambda: _listens(agent))


def _listens(agent: Lamplighter) -> bool:
    with contextlib.suppress(AssertionError), agent.events() as following:
        return following()[0] == "health"
    return False


def test_a_socket_that_was_taken_away_is_made_anew(agent: Lamplighter) -> None:
    """Cleaners of runtime folders do that; it is noticed at the next heartbeat, or when anything else happens."""
    agent.socket.unlink()
    agent.configure((agent.home / "config.toml").read_text() + "\n[accounts.home]\nissuer = 'https://a.example'\n"
                    "client_id = 'x'\n")  # fmt: skip
    eventually(agent.socket.exists, 40)

    assert agent.ask("GET", "/v1/accounts/work/token").status == 200
    assert agent.socket.stat().st_mode & 0o777 == 0o600


def test_what_was_put_in_the_place_of_the_socket_is_left_alone(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet():
        lamplighter.socket.unlink()
        lamplighter.socket.write_text("somebody's file")

    assert lamplighter.socket.read_text() == "somebody's file"
