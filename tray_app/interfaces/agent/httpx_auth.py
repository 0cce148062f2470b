"""For programs in Python: requests of httpx that carry a valid token, whatever happens to it meanwhile.

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
    """A bearer token of an account (RFC 6750) from the running applet, for each request anew.

    A token that the server turns down with 401 is refreshed and the request sent once more; however many requests are
    turned down at once, the provider is asked once. Both kinds of client can use it, and threads can share it. Raises
    a `tray_app.core.errors.LamplighterError` where there is no token; its message says what helps.
    """

    def __init__(self, account: str, *, min_ttl: int = 0, socket: Path | None = None) -> None:
        """`min_ttl`: seconds that a token must live on. `socket`: the applet's, where it is not the usual one."""
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
        """Called by `httpx.AsyncClient`; its loop goes on while the applet is asked."""
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
    """A body that was read from a file or a generator is gone once it was sent."""
    return isinstance(request.stream, httpx.ByteStream)
