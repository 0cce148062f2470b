"""The agent: HTTP/1.1 on a private socket, for the commands and for every other program of the same user."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, get_args
from urllib.parse import parse_qs

from tray_app.base.http.messages import Request, Response
from tray_app.base.log import LOG
from tray_app.core.account import Configuration
from tray_app.core.errors import LamplighterError, Unavailable
from tray_app.core.events import HealthChanged, SignInChanged
from tray_app.core.ports import Browser, Clock, Flow, SignInPrompt
from tray_app.core.status import rfc3339
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.events import Events
from tray_app.interfaces.agent.http_protocol import HttpServer
from tray_app.interfaces.agent.listener import Bound
from tray_app.interfaces.agent.parameters import Misunderstood, body_of, min_ttl, rejected, text_in
from tray_app.interfaces.agent.unix_socket import bound, most_connections

NOT_KEPT = (("Cache-Control", "no-store"),)
MOST_LISTENERS = 64
"""Event streams stay open; without a limit they could take all connections from programs that want a token."""


class Source(Protocol):
    """What the agent needs of the engine."""

    events: Events

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""

    def status_json(self, *, running: bool) -> dict[str, Any]:
        """The whole of `status --json`."""

    async def token(self, name: str, min_ttl: timedelta, *, wait: bool) -> TokenSet:
        """A valid access token."""

    def token_at_hand(self, name: str) -> TokenSet | None:
        """A valid access token where no refresh is due; None where `token` has to be asked."""

    async def sign_in(self, name: str, browser: Browser | None, flow: Flow) -> SignInPrompt:
        """Starts a sign-in; returns what the person needs for it."""

    async def paste(self, name: str, text: str, *, bare: bool) -> None:
        """Passes what a person has pasted to the open sign-in."""

    async def set_client_secret(self, name: str, secret: Secret | None) -> str:
        """Stores a client secret; returns the store's name."""

    async def forget(self, name: str) -> None:
        """Removes what is stored about the account's client."""

    async def cancel_sign_in(self, name: str) -> None:
        """Ends the sign-in that is open, if there is one."""

    async def sign_out(self, name: str) -> str | None:
        """Signs out; returns what could not be revoked."""

    async def refresh(self, name: str, rejected: Callable[[TokenSet], bool] | None) -> None:
        """Refreshes now."""


class Agent:
    """Serves `source` at a socket. `end` ends the applet, `present` shows its status as a notification."""

    def __init__(
        self, source: Source, browser: Browser, end: Callable[[], None], present: Callable[[], None], clock: Clock
    ) -> None:
        self._source = source
        self._browser = browser
        self._end = end
        self._present = present
        self._clock = clock
        self._server = HttpServer(self._answer, self._at_once, most_connections())
        self._socket: Bound | None = None
        self._is_serving = asyncio.Event()
        self._logged = ""
        self._listeners = 0
        self._given: tuple[Request, str, TokenSet, Response] | None = None
        """The last answer with a token, and what it was made from: mostly the same is asked for again."""

    def bind(self, path: Path) -> None:
        """Listens at `path`. Requests are read from now on, and answered from `serve` on. Raises `LamplighterError`."""
        self._socket = bound(path)
        self._server.listen(self._socket)

    async def serve(self) -> None:
        """Answers from now on."""
        self._is_serving.set()

    def is_cut_off(self) -> bool:
        """Whether something, such as a cleaner of runtime folders, has removed the socket."""
        return self._socket is not None and self._socket.is_gone()

    async def reopen(self) -> None:
        """Makes a new socket. An obstacle is logged, once."""
        before = self._socket
        if before is None:
            return
        try:
            self._socket = bound(before.path)
        except LamplighterError as error:
            if str(error) != self._logged:
                LOG.warning("the agent: the socket was removed; %s", error)
            self._logged = str(error)
            return
        LOG.warning("the agent: the socket was removed; made a new one")
        self._server.stop_listening()
        before.close()
        self._server.listen(self._socket)

    async def close(self) -> None:
        """Stops listening, closes all connections and removes the socket."""
        await self._server.close()
        if self._socket is not None:
            self._socket.close()

    async def _answer(self, request: Request) -> Response:
        await self._is_serving.wait()
        try:
            return await self._route(request)
        except Misunderstood as error:
            return _json(400, {"error": "invalid_request", "message": str(error)})
        except LamplighterError as error:
            return _refusal(error, self._clock)

    def _at_once(self, request: Request) -> Response | None:
        """The answer to what most programs ask for, a token that is valid and at hand; else None."""
        given = self._given if self._given is not None and self._given[0] is request else None
        name = given[1] if given else (None if request.query else _account_of_token(request))
        tokens = None if name is None or not self._is_serving.is_set() else self._source.token_at_hand(name)
        if name is None or tokens is None:
            return None
        if given is None or given[2] is not tokens:
            given = self._given = request, name, tokens, _token(request, tokens)
        return given[3]

    async def _route(self, request: Request) -> Response:
        if (account := _account_of_token(request)) is not None:
            query = parse_qs(request.query)
            wait = query.get("wait", ["1"])[-1] != "0"
            return _token(request, await self._source.token(account, min_ttl(query), wait=wait))
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["v1", "status"]:
                return _json(200, self._status())
            case "GET", ["v1", "events"]:
                if self._listeners >= MOST_LISTENERS:
                    return _json(503, {"error": "unavailable", "message": f"{MOST_LISTENERS} programs listen already"})
                return Response(200, content_type="text/event-stream", stream=self._events())
            case _, ["v1", "accounts", name, what]:
                return await self._of_account(request, name, what)
            case "POST", ["v1", "quit"]:
                self._end()
                return _json(202, {})
            case "POST", ["v1", "present"]:
                self._present()
                return _json(202, {})
            case _:
                return _not_answered(parts)

    async def _of_account(self, request: Request, name: str, what: str) -> Response:
        match request.method, what:
            case "POST", "login":
                return await self._login(name, body_of(request))
            case "DELETE", "login":
                await self._source.cancel_sign_in(name)
                return _json(200, {})
            case "POST", "logout":
                return _json(200, {"unrevoked": await self._source.sign_out(name)})
            case "POST", "refresh":
                await self._source.refresh(name, rejected(body_of(request)))
                return _json(200, {})
            case "POST", "answer" | "secret" | "forget":
                return await self._of_client(body_of(request), name, what)
            case _:
                return _not_answered(["v1", "accounts", name, what])

    async def _of_client(self, body: dict[str, Any], name: str, what: str) -> Response:
        match what:
            case "answer":
                await self._source.paste(name, text_in(body, "answer"), bare=True)
            case "secret":
                secret = Secret(text_in(body, "client_secret"))
                return _json(200, {"store": await self._source.set_client_secret(name, secret)})
            case _:
                await self._source.forget(name)
        return _json(200, {})

    async def _login(self, name: str, body: dict[str, Any]) -> Response:
        flow = body.get("flow", "browser")
        if flow not in get_args(Flow):
            raise Misunderstood(f"the flow is one of: {', '.join(get_args(Flow))}")
        wants_browser = body.get("browser", flow == "browser")
        if not isinstance(wants_browser, bool):
            raise Misunderstood("`browser` is true or false")
        return _json(202, _invitation(await self._source.sign_in(name, self._browser if wants_browser else None, flow)))

    def _status(self) -> dict[str, Any]:
        """`status --json`, with the hosts and the resource to which each account's tokens belong."""
        found = self._source.status_json(running=True)
        return found | {"accounts": [self._with_hosts(account) for account in found["accounts"]]}

    def _with_hosts(self, status: dict[str, Any]) -> dict[str, Any]:
        account = self._source.configuration.accounts.get(status["name"])
        return status | {"hosts": list(account.hosts) if account else [], "resource": account and account.resource}

    async def _events(self) -> AsyncGenerator[bytes, None]:
        events = self._source.events
        queue = events.subscribe()
        self._listeners += 1
        try:
            for account in self._status()["accounts"]:
                yield _event("health", account)
            while (event := await queue.get()) is not None:
                if isinstance(event, HealthChanged):
                    yield _event(event.kind, self._with_hosts(event.as_json()))
                elif isinstance(event, SignInChanged):
                    yield _event(event.kind, event.as_json())
        finally:
            self._listeners -= 1
            events.unsubscribe(queue)


def _invitation(found: SignInPrompt) -> dict[str, Any]:
    """What the person needs; for a sign-in on another device with the names of RFC 8628, 3.2."""
    body: dict[str, Any] = {"authorization_url": found.url or None}
    if found.user_code is not None:
        complete = found.url if found.url != found.verification_uri else None
        body |= {"user_code": found.user_code, "verification_uri": found.verification_uri}
        body |= {"verification_uri_complete": complete, "expires_at": found.expires_at and rfc3339(found.expires_at)}
    return body


def _account_of_token(request: Request) -> str | None:
    """The account of a request for a token; None for other requests."""
    if request.method != "GET" or not request.path.startswith("/v1/accounts/"):
        return None
    name, _, what = request.path.removeprefix("/v1/accounts/").rstrip("/").partition("/")
    return name if what == "token" else None


def _token(request: Request, tokens: TokenSet) -> Response:
    if request.header("accept") == "text/plain":  # for shells and our own command, which have no JSON parser
        return Response(200, tokens.access_token.reveal().encode(), headers=NOT_KEPT)
    return _json(200, token_json(tokens))


def token_json(tokens: TokenSet) -> dict[str, Any]:
    """The body of a token's answer, and of `token --json` (.github/CONTRACT.md, section 8)."""
    return {
        "access_token": tokens.access_token.reveal(),
        "token_type": tokens.token_type,
        "expires_at": rfc3339(tokens.expires_at),
        "scopes": list(tokens.scopes),
    }


def _not_answered(parts: list[str]) -> Response:
    """404, or 405 with the methods that are allowed there (RFC 9110, 15.5.6)."""
    match parts:
        case ["v1", "status" | "events"] | ["v1", "accounts", _, "token"]:
            methods = "GET"
        case ["v1", "quit" | "present"]:
            methods = "POST"
        case ["v1", "accounts", _, "login"]:
            methods = "POST, DELETE"
        case ["v1", "accounts", _, "logout" | "refresh" | "answer" | "secret" | "forget"]:
            methods = "POST"
        case _:
            return _json(404, {"error": "not_found", "message": "nothing is here; the README lists what there is"})
    body = {"error": "method_not_allowed", "message": f"only {methods} is answered here"}
    return _json(405, body, [("Allow", methods)])


def _refusal(error: LamplighterError, clock: Clock) -> Response:
    status = {"unknown_account": 404, "sign_in_needed": 409, "unavailable": 503, "store_unavailable": 503}
    headers = []
    if isinstance(error, Unavailable) and error.retry_at is not None:
        seconds = (error.retry_at - clock.now()).total_seconds()
        headers.append(("Retry-After", str(max(1, round(seconds)))))
    return _json(status.get(error.name, 500), {"error": error.name, "message": str(error)}, headers)


def _json(status: int, body: dict[str, Any], headers: list[tuple[str, str]] | None = None) -> Response:
    return Response(status, json.dumps(body).encode(), "application/json", (*NOT_KEPT, *(headers or [])))


def _event(kind: str, facts: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(facts)}\n\n".encode()
