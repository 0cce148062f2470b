"""`lamplighter` as a process in a home of its own, and a provider in a thread: what a shell and other programs see.

    def test_...(lamplighter: Lamplighter, provider: Provider):     # fixtures of conftest.py
        lamplighter.configure(provider.account())
        lamplighter.sign_in("work", provider)
        with lamplighter.applet():
            assert lamplighter.ask("GET", "/v1/status").status == 200

Nothing of the person's own session is seen: the environment is made from nothing, the keyring is a real one on a bus
of its own. Every process that was started here ends with the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from tests.integration.hostile_server import NAVIGATING, AuthorizationServer, form, json_response
from tests.keyring_session import eventually
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.base.clock import WallClock
from tray_app.base.http.server import Request, Response, bind_loopback
from tray_app.core.tokens import Secret, TokenSet

COMMAND = Path(sys.executable).with_name("lamplighter")
BOUND = 60.0  # seconds; generous: a command takes half a second


@dataclass(frozen=True)
class Finished:
    """What a command leaves behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Reply:
    """An answer of the agent."""

    status: int
    headers: dict[str, str]
    body: Any


class Running:
    """A command under way. Its output is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._out: list[str] = []
        self._err: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self._out, self._lines.put), daemon=True),
            threading.Thread(target=self._read, args=(process.stderr, self._err, lambda _: None), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def err(self) -> str:
        """What it has said so far."""
        return "".join(self._err)

    def line(self) -> str:
        """The next line of its standard output; an empty one where it ended."""
        return self._lines.get(timeout=BOUND).rstrip("\n")

    def type(self, line: str) -> None:
        """A line on its standard input, which `stdin=PIPE` has opened."""
        assert self.process.stdin is not None
        with self.process.stdin as typed:
            typed.write(f"{line}\n")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = BOUND) -> Finished:
        self.process.wait(seconds)
        for reader in self._readers:
            reader.join(seconds)
        if self.process.stdin is not None:
            self.process.stdin.close()
        return Finished(self.process.returncode, "".join(self._out), self.err)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    @staticmethod
    def _read(stream: Any, into: list[str], tell: Callable[[str], object]) -> None:
        with stream:
            for line in stream:
                into.append(line)
                tell(line)
        tell("")


class Lamplighter:
    """One home, and the commands in it. `environment` is all that a process gets; change it at will."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "LAMPLIGHTER_HOME": str(home),
            **environment,
        }
        self.socket = home / "run/agent.sock"
        self._running: list[Running] = []

    # -- commands

    def start(self, *words: str, program: list[str] | None = None, **options: Any) -> Running:
        """Starts `lamplighter WORDS`."""
        process = subprocess.Popen(
            [*(program or [str(COMMAND)]), *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"cwd": self.home.parent, "stdin": subprocess.DEVNULL, **options},
        )
        running = Running(process)
        self._running.append(running)
        return running

    def run(self, *words: str, **options: Any) -> Finished:
        """`lamplighter WORDS`, to its end."""
        return self.start(*words, **options).wait()

    def feed(self, text: str, *words: str) -> Finished:
        """`lamplighter WORDS` with the text on its standard input, to its end."""
        running = self.start(*words, stdin=subprocess.PIPE)
        assert running.process.stdin is not None
        with running.process.stdin as typed:
            typed.write(text)
        return running.wait()

    def run_all(self, *lines: list[str]) -> list[Finished]:
        """All of them at once, each to its end."""
        return [running.wait() for running in [self.start(*words) for words in lines]]

    def close(self) -> None:
        """Ends what still runs."""
        for running in self._running:
            running.kill()

    # -- the home

    def configure(self, *parts: str) -> None:
        """Saves the configuration as editors do: another file in its place."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        fresh = self.home / ".config.toml.new"
        fresh.write_text("\n".join(parts))
        fresh.replace(self.home / "config.toml")

    def facts(self, name: str = "work") -> str:
        """What is noted of the account beside its tokens."""
        return (self.home / f"state/accounts/{name}.json").read_text()

    @property
    def log(self) -> str:
        file = self.home / "log/lamplighter.log"
        return file.read_text() if file.exists() else ""

    # -- the applet

    @contextlib.contextmanager
    def applet(self, *words: str) -> Iterator[Running]:
        """`lamplighter run --headless`, from its first answer on; ended politely afterwards where it still runs."""
        running = self.start(*(words or ("run", "--headless")))
        try:
            self.until_it_answers(running)
            yield running
        finally:
            if running.process.poll() is None:
                running.signal(signal.SIGTERM)
            ended = running.wait()
        assert ended.code in {0, -signal.SIGKILL, 130}, ended
        assert "Traceback" not in ended.err + self.log, ended.err + self.log

    def until_it_answers(self, running: Running) -> None:
        def answers() -> bool:
            assert running.process.poll() is None, running.wait()
            try:
                return self.ask("GET", "/v1/status").status == 200
            except OSError:
                return False

        eventually(answers)

    # -- the agent, without our own client

    def connect(self, seconds: float = BOUND) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.connect(str(self.socket))  # with a time limit it fails at once where too many are at the door
            connected.settimeout(seconds)
        except OSError:
            connected.close()
            raise
        return connected

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request, as `curl --unix-socket` makes it."""
        connection = http.client.HTTPConnection("lamplighter")
        connection.sock = self.connect()
        try:
            connection.request(method, path, body if isinstance(body, bytes | None) else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, _read_json(text))

    def raw(self, sent: bytes) -> bytes:
        """Any bytes at all, and all that comes back until the other side closes."""
        with self.connect() as connected:
            connected.sendall(sent)
            connected.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connected.recv(65_536), b""))

    @contextlib.contextmanager
    def events(self) -> Iterator[Callable[[], tuple[str, dict[str, Any]]]]:
        """The stream of events; each call gives the next one."""
        connection = http.client.HTTPConnection("lamplighter")
        connection.sock = self.connect()
        try:
            connection.request("GET", "/v1/events")
            answer = connection.getresponse()
            assert (answer.status, answer.headers.get_content_type()) == (200, "text/event-stream")

            def following() -> tuple[str, dict[str, Any]]:
                lines = iter(lambda: answer.readline().decode().rstrip("\n"), "")
                fields = dict(line.split(": ", 1) for line in lines)
                assert fields, "the stream has ended"
                return fields["event"], json.loads(fields["data"])

            yield following
        finally:
            connection.close()

    # -- what is asked again and again

    def account(self, name: str = "work") -> dict[str, Any]:
        """The account's object of `status --json`."""
        found = self.ask("GET", "/v1/status").body if self.socket.exists() else self.run("status", "--json").json()
        account: dict[str, Any] = next(one for one in found["accounts"] if one["name"] == name)
        return {key: value for key, value in account.items() if key not in {"hosts", "resource"}}  # the agent's alone

    def health(self, name: str = "work") -> str:
        return str(self.account(name)["health"])

    def until_health(self, health: str, name: str = "work", seconds: float = 20) -> None:
        eventually(lambda: self.health(name) == health, seconds)

    def given(
        self, provider: Provider, name: str = "work", *, life: float = 3600, age: float = 0, refreshable: bool = True
    ) -> None:
        """Configured, with the tokens that a sign-in `age` seconds ago has left in the keyring: quicker than one."""
        self.configure(provider.account(name), '[retry]\nlimit = "1s"')
        first = provider.first_tokens(timedelta(seconds=life), timedelta(seconds=age), refreshable=refreshable)

        async def save() -> None:
            store = KeyringStore(self.home)
            await store.save(name, first)
            await store.close()

        with patch.dict(os.environ, self.environment):
            asyncio.run(save())

    def sign_in(self, name: str, provider: Provider) -> None:
        """`login --no-browser`, with somebody who says yes."""
        login = self.start("login", name, "--no-browser")
        url = login.line()
        assert url, login.wait()
        arrive(provider.approve(url))
        finished = login.wait()
        assert (finished.code, finished.out) == (0, f"{url}\n"), finished


class Provider:
    """An authorization server in a thread, whose tokens one recognises and whose refresh tokens serve once."""

    def __init__(self) -> None:
        self.server = AuthorizationServer()
        self.life: Any = 3600
        self.refreshes = 0
        self.reused = 0
        self.name = "canary"
        self.refresh_token = ""
        self.more: dict[str, Any] = {}
        """Members that an answer has beside the usual ones, or instead of them."""
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self.server.__aenter__())
        self.behave()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self.server.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def issuer(self) -> str:
        return self.server.issuer

    def account(self, name: str = "work", *, scopes: str = '"openid"', **more: str) -> str:
        """The account's table in `config.toml`."""
        settings = {"issuer": self.issuer, "client_id": "tray", **more}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        return "\n".join([f"[accounts.{name}]", *lines, f"scopes = [{scopes}]", ""])

    def first_tokens(self, life: timedelta, age: timedelta, *, refreshable: bool) -> TokenSet:
        """Tokens as a sign-in gives them."""
        number = next(self._numbers)
        self.refresh_token = f"{self.name}-refresh-{number}"
        return TokenSet(
            access_token=Secret(f"{self.name}-access-{number}"),
            token_type="Bearer",
            received_at=WallClock().now() - age,
            lifetime=life,
            refresh_token=Secret(self.refresh_token) if refreshable else None,
            scopes=("openid",),
            subject=None,
            sign_in_ends_at=None,
            bound_to=f"{self.issuer} tray",
        )

    def approve(self, url: str, **changes: str | None) -> str:
        return self.server.approve(url, **{"code": f"{self.name}-code", **changes})

    def behave(self) -> None:
        self.server.token = self._give

    def answer(self, response: Response) -> None:
        """Every request for tokens is answered like this from now on."""

        async def endpoint(_: Request) -> Response:
            return response

        self.server.token = endpoint

    def hold(self) -> Callable[[], None]:
        """From now on the token endpoint answers only once what is returned here was called."""
        gate, behaving = asyncio.Event(), self.server.token

        async def endpoint(request: Request) -> Response:
            await gate.wait()
            return await behaving(request)

        def open_gate() -> None:
            self._loop.call_soon_threadsafe(gate.set)

        self.server.token = endpoint
        return open_gate

    def token_requests(self) -> int:
        return len(self.server.to("/token"))

    def down(self) -> None:
        """Connections are refused."""
        self._do(self.server._server.close())

    def up(self) -> None:
        (listening,) = bind_loopback("127.0.0.1", int(self.issuer.rpartition(":")[2]))
        self._do(self.server._server.listen(listening))

    async def _give(self, request: Request) -> Response:
        sent = form(request)
        if sent["grant_type"] == "refresh_token":
            if sent["refresh_token"] != self.refresh_token:
                self.reused += 1
                return json_response(400, error="invalid_grant")
            self.refreshes += 1
        number = next(self._numbers)
        usual = {
            "access_token": f"{self.name}-access-{number}",
            "token_type": "Bearer",
            "expires_in": self.life,
            "refresh_token": f"{self.name}-refresh-{number}",
        }
        members = {name: value for name, value in {**usual, **self.more}.items() if value is not ...}
        self.refresh_token = members.get("refresh_token") or self.refresh_token
        return json_response(**members)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(BOUND)


def arrive(url: str, host: str | None = None) -> int:
    """The browser's arrival: the status of the answer, and of the page that a redirect leads to."""
    request = urllib.request.Request(url, headers=NAVIGATING | ({"Host": host} if host else {}))
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=BOUND) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def page_of(url: str) -> str:
    """The page that the browser shows on its arrival."""
    request = urllib.request.Request(url, headers=NAVIGATING)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=BOUND) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def listens(url: str) -> bool:
    """Whether anybody listens where the URL leads."""
    host, _, port = url.split("/")[2].rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
