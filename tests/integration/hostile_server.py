"""A loopback authorization server that can be told to misbehave, and a browser that does what it is told.

    async with AuthorizationServer() as server:
        server.token = answering(json_response(500))     # each endpoint is a function from request to response
        server.requests                                  # all that came in

What no HTTP server would send is written byte by byte: `async with bytes_server(conversation) as origin`.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tray_app.adapters.oauth.registrar import InMemoryClients
from tray_app.base.http.server import HttpServer, Limits, Request, Response, bind_loopback
from tray_app.core.account import Account
from tray_app.core.tokens import Secret

BOUND = 20.0  # seconds; generous: everything here takes milliseconds

Endpoint = Callable[[Request], Awaitable[Response]]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def pass_by(self, **time: float) -> None:
        self.time += timedelta(**time)


def json_response(status: int = 200, *headers: tuple[str, str], **members: Any) -> Response:
    return Response(status, json.dumps(members).encode(), "application/json", headers)


def answering(response: Response) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return response

    return endpoint


def tokens(**members: Any) -> Response:
    return json_response(access_token="A1", token_type="Bearer", refresh_token="R1", expires_in=3600, **members)


def form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode()))


class AuthorizationServer:
    """Well-behaved until an endpoint is replaced."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.token: Endpoint = self._exchange
        self.revocation: Endpoint = answering(Response(200))
        self.metadata: dict[str, Any] = {}
        self.metadata_status = 200
        self.other: dict[str, Endpoint] = {}
        """Further endpoints, by path."""
        self.asked: dict[str, str] = {}
        """The parameters of the authorization request."""
        self.id_token_claims: dict[str, Any] = {}
        self._host = host
        self._server = HttpServer(self._answer, Limits(body=100_000))

    async def __aenter__(self) -> Self:
        (listening,) = bind_loopback(self._host, 0)
        self.issuer = f"http://{self._host}:{listening.getsockname()[1]}"
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=x",
            "token_endpoint": f"{self.issuer}/token",
            "revocation_endpoint": f"{self.issuer}/revoke",
        }
        await self._server.listen(listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def account(self, **changes: Any) -> Account:
        return Account(**{"name": "work", "client_id": "tray", "issuer": self.issuer, "scopes": ("openid",), **changes})

    def to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(path)]

    def approve(self, authorization_url: str, **changes: str | None) -> str:
        """Where the browser is sent once the person has agreed; a change of None leaves the parameter out."""
        self.asked = dict(parse_qsl(urlsplit(authorization_url).query))
        answer = {"code": "C1", "state": self.asked["state"], **changes}
        redirect_uri = self.asked["redirect_uri"]
        joint = "&" if "?" in redirect_uri else "?"
        return redirect_uri + joint + urlencode({name: value for name, value in answer.items() if value is not None})

    def id_token(self, **claims: Any) -> str:
        seconds = int(HandClock().now().timestamp())
        good = {"iss": self.issuer, "aud": "tray", "sub": "anna", "iat": seconds, "exp": seconds + 600}
        payload = json.dumps({**good, "nonce": self.asked.get("nonce"), **claims}).encode()
        return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"

    async def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        if request.path == "/token":
            return await self.token(request)
        if request.path == "/revoke":
            return await self.revocation(request)
        if request.path in self.other:
            return await self.other[request.path](request)
        if request.path.startswith("/.well-known/"):
            return json_response(self.metadata_status, **self.metadata)
        return Response(404)

    async def _exchange(self, request: Request) -> Response:
        sent = form(request)
        if sent["grant_type"] == "refresh_token":
            return tokens()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(sent["code_verifier"].encode()).digest()).decode()
        right = (
            sent["code"] == "C1"
            and sent["redirect_uri"] == self.asked["redirect_uri"]
            and sent["client_id"] == self.asked["client_id"]
            and challenge.rstrip("=") == self.asked["code_challenge"]
        )
        if not right:
            return json_response(400, error="invalid_grant")
        return tokens(id_token=self.id_token(**self.id_token_claims))


class Clients(InMemoryClients):
    """Keeps clients in memory; a call says what their secret is."""

    def __init__(self, secret: Callable[[str], Awaitable[Secret | None]]) -> None:
        super().__init__()
        self.client_secret = secret  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def bytes_server(conversation: Conversation, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Any bytes at all, over TLS where a context is given. Yields the origin."""
    server = await asyncio.start_server(_quietly(conversation), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        server.close()


def _quietly(conversation: Conversation) -> Conversation:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await conversation(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the client had enough, which is what it is tested for
        finally:
            writer.close()

    return connected


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str


NAVIGATING = {"Sec-Fetch-Mode": "navigate"}
"""What a browser says of a person's visit: it follows redirects."""


@dataclass
class Browser:
    """Sends one request and reads the answer to its end; `host` may lie."""

    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, url: str, *, method: str = "GET", host: str | None = None) -> Reply:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return await self.send(url, ("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(self, url: str, raw: bytes, *, end: bool = False) -> Reply:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            async with asyncio.timeout(BOUND):
                writer.write(raw)
                if end:
                    writer.write_eof()
                received = await reader.read()
        finally:
            writer.close()
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        return Reply(int(status.split()[1]), {name.lower(): value for name, value in pairs}, body.decode())

    async def follow(self, url: str) -> tuple[Reply, Reply]:
        """The answer to the redirect and, where it leads on, the page there. Says of itself what browsers do."""
        first = await replace(self, headers=NAVIGATING | self.headers).get(url)
        parts = urlsplit(url)
        return first, await self.get(f"{parts.scheme}://{parts.netloc}{first.headers['location']}")
