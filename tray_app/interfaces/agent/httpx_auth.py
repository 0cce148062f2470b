"""For programs in Python: requests of httpx that carry a valid token.

client = httpx.Client(auth=LamplighterAuth("work"), base_url="https://api.example.com")
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx

from tray_app.base.paths import places
from tray_app.interfaces.agent.client import AgentClient


class LamplighterAuth(httpx.Auth):
    """An account's bearer token (RFC 6750) from the running applet, asked for anew for each request.

    Where the server rejects it with 401, it is refreshed and the request sent once more; however many requests are
    rejected at the same time, there is one refresh. For both kinds of client, and safe to share between threads.
    Raises a `tray_app.core.errors.LamplighterError` where there is no token; its message says what to do.
    """

    def __init__(self, account: str, *, min_ttl: int = 0, socket: Path | None = None) -> None:
        """`min_ttl`: seconds for which a token must stay valid. `socket`: the applet's, if it is not the default."""
        self._applet = AgentClient(socket or places().socket)
        self._token_path = self._applet.account(account, f"token?min_ttl={min_ttl}" if min_ttl else "token")
        self._refresh_path = self._applet.account(account, "refresh")

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Called by `httpx.Client`."""
        token = self._token()
        response = yield _with(token, request)
        if response.status_code == 401 and _can_be_repeated(request):
            self._refresh(token)
            yield _with(self._token(), request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Called by `httpx.AsyncClient`; its loop is not blocked while the applet is asked."""
        token = await asyncio.to_thread(self._token)
        response = yield _with(token, request)
        if response.status_code == 401 and _can_be_repeated(request):
            await asyncio.to_thread(self._refresh, token)
            yield _with(await asyncio.to_thread(self._token), request)

    def _token(self) -> str:
        return str(self._applet.ask("GET", self._token_path)["access_token"])

    def _refresh(self, rejected: str) -> None:
        digest = hashlib.sha256(rejected.encode()).hexdigest()
        self._applet.ask("POST", self._refresh_path, {"rejected_sha256": digest})


def _with(token: str, request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _can_be_repeated(request: httpx.Request) -> bool:
    """Whether the body can be sent again: not where it came from a file or a generator."""
    return isinstance(request.stream, httpx.ByteStream)
