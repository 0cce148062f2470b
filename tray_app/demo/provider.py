"""A small authorization server on loopback that can be made to misbehave: the demo's, and a part for tests.

It is a real one: metadata (RFC 8414), authorization code with PKCE S256 (RFC 6749, 7636), `iss` in its responses
(RFC 9207), rotation with reuse detection (RFC 9700, 4.14.2), revocation (RFC 7009). What it lacks is a password.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tray_app.base.http.messages import Request, Response
from tray_app.base.http.server import HttpServer, Limits, bind_loopback
from tray_app.core.message import msg
from tray_app.core.ports import Clock
from tray_app.demo import page
from tray_app.demo.grants import AuthorizationRequest, Grants, Refused

CLIENT_ID = "lamplighter-demo"
SCOPES = ("demo", "offline_access")

_REDIRECT_URI = re.compile(r"(http://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?)(?:/[!-\"$-~]*)?")
"""Loopback, any port (RFC 8252, 7.3), no fragment. Not [::1]: a Content-Security-Policy cannot name it."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_NO_STORE = (("Cache-Control", "no-store"),)


class Event(Enum):
    """What happened at the server, in words for its page."""

    SIGN_IN = msg("The application was given its first tokens")
    REFRESH = msg("A refresh: new tokens")
    REFUSAL = msg("A refresh was refused (invalid_grant)")
    DENIAL = msg("You refused the application")
    REVOCATION = msg("The application signed out")
    OUTAGE = msg("The application called, and we were down (503)")


class DemoProvider:
    """The authorization server. `ttl` is the life of its access tokens in whole seconds, at least one."""

    def __init__(self, clock: Clock, ttl: float = 20, *, rotate: bool = True) -> None:
        self.clock = clock
        self.ttl = max(1, int(ttl))
        self.issuer = ""
        self._outage = max(15, self.ttl + 5)
        """Seconds that the page's outage lasts: longer than a token lives, so that the lamp shows all of it."""
        self._slowness = min(10.0, 0.15 * self.ttl)
        """Seconds that a slow answer takes: less than the fifth of a life by which a refresh is early."""
        self.counts: Counter[Event] = Counter()
        """How often each thing has happened."""
        self._recent: deque[tuple[datetime, str]] = deque(maxlen=6)
        self._news = asyncio.Event()
        self._grants = Grants(clock, self.ttl, rotate=rotate)
        self._asked: dict[str, AuthorizationRequest] = {}
        self._keys: deque[str] = deque(maxlen=256)
        self._down_until = self._slow_until = datetime.min.replace(tzinfo=UTC)
        self._delay = 0.0
        self._server = HttpServer(self._answer, Limits(body=16_384))
        self._routes: dict[str, dict[str, Callable[[Request], Response]]] = {
            "/": {"GET": self._control, "POST": self._press},
            "/.well-known/oauth-authorization-server": {"GET": self._metadata},
            "/.well-known/openid-configuration": {"GET": self._metadata},
            "/authorize": {"GET": self._ask, "POST": self._decide},
            "/token": {"POST": self._token},
            "/revoke": {"POST": self._revoke},
        }

    async def start(self, port: int = 0) -> str:
        """Listens on 127.0.0.1 and returns the issuer. Port 0 is any; raises OSError where the port is taken."""
        (listening,) = bind_loopback("127.0.0.1", port)
        self.issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await self._server.listen(listening)
        return self.issuer

    async def close(self) -> None:
        """Stops listening and forgets nothing: the object can still be asked what happened."""
        await self._server.close()

    async def until(self, event: Event, count: int, seconds: float) -> None:
        """Returns when the event has happened `count` times. Raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            while self.counts[event] < count:
                await self._news.wait()

    # Troubles

    def go_down(self, seconds: float | None = None) -> None:
        """Answers 503 for so long; without a number until `recover`. The page stays up."""
        self._down_until = self._from_now(seconds)

    def go_slow(self, delay: float, seconds: float | None = None) -> None:
        """Each answer takes `delay` seconds, for so long; without a number until `recover`."""
        self._delay, self._slow_until = delay, self._from_now(seconds)

    def revoke_session(self) -> None:
        """Every sign-in is over, its access token as well: the next refresh gets invalid_grant."""
        for sign_in in self._grants.live():
            sign_in.ended = msg("the session was revoked")
            sign_in.access_ends_at = self.clock.now()

    def end_refresh_token(self) -> None:
        """Every refresh token has reached its end: the next refresh gets invalid_grant."""
        for sign_in in self._grants.live():
            sign_in.ended = msg("the refresh token has expired")

    def let_end_soon(self) -> None:
        """From the next refresh on, each answer states that the sign-in ends in two days."""
        for sign_in in self._grants.live():
            sign_in.ends_soon = True

    def recover(self) -> None:
        """No longer down, slow or about to end. What was revoked stays so."""
        self._down_until = self._slow_until = self.clock.now()
        for sign_in in self._grants.live():
            sign_in.ends_soon = False

    def _from_now(self, seconds: float | None) -> datetime:
        return datetime.max.replace(tzinfo=UTC) if seconds is None else self.clock.now() + timedelta(seconds=seconds)

    # Requests

    async def _answer(self, request: Request) -> Response:
        response = await self._routed(request)
        date = format_datetime(self.clock.now(), usegmt=True)
        return replace(response, headers=(*response.headers, ("Date", date)))

    async def _routed(self, request: Request) -> Response:
        if request.header("host") != self.issuer.removeprefix("http://"):  # DNS rebinding comes by another name
            return Response(421, b"This server answers only by its own name.")
        methods = self._routes.get(request.path)
        if methods is None:
            return Response(404, b"There is no such page.")
        if request.method not in methods:
            return Response(405, headers=(("Allow", ", ".join(methods)),))
        if request.path != "/":
            if self.clock.now() < self._slow_until:
                await asyncio.sleep(self._delay)
            if self.clock.now() < self._down_until:
                self._note(Event.OUTAGE)
                return Response(503, b"Down, as you wished.", headers=_NO_STORE)
        return methods[request.method](request)

    def _note(self, event: Event) -> None:
        self.counts[event] += 1
        self._recent.appendleft((self.clock.now(), event.value))
        self._news.set()
        self._news = asyncio.Event()

    def _metadata(self, _request: Request) -> Response:
        return _json(
            200,
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "revocation_endpoint": f"{self.issuer}/revoke",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "revocation_endpoint_auth_methods_supported": ["none"],
                "scopes_supported": list(SCOPES),
                "authorization_response_iss_parameter_supported": True,
            },
        )

    def _ask(self, request: Request) -> Response:
        fields = _fields(request.query)
        redirect_uri = _REDIRECT_URI.fullmatch(fields.get("redirect_uri", ""))
        if fields.get("client_id") != CLIENT_ID or redirect_uri is None:
            # No verified client: a redirect here would be an open redirector (RFC 6749, 4.1.2.1).
            return page.message(
                400, msg("This request is not in order"), msg("It names another application or place to return.")
            )
        asked = AuthorizationRequest(
            redirect_uri[0], fields.get("state"), fields.get("scope") or SCOPES[0], fields.get("code_challenge", "")
        )
        if fields.get("response_type") != "code":
            return self._return(asked, error="unsupported_response_type")
        if fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.challenge):
            return self._return(asked, error="invalid_request", error_description="PKCE with S256 is required")
        if not set(asked.scope.split()) <= set(SCOPES):
            return self._return(asked, error="invalid_scope")
        while len(self._asked) >= 64:
            self._asked.pop(next(iter(self._asked)))
        key = secrets.token_urlsafe(32)
        self._asked[key] = asked
        return page.approval(key, asked.scope.split(), redirect_uri[1])

    def _decide(self, request: Request) -> Response:
        fields = _fields(request.body.decode("latin-1"))
        asked = self._asked.pop(fields.get("key", ""), None)
        if asked is None:
            return page.message(403, msg("This page is too old"), msg("Start the sign-in again at the lamp."))
        if fields.get("decision") != "approve":
            self._note(Event.DENIAL)
            return self._return(asked, error="access_denied", error_description="You refused.")
        return self._return(asked, code=self._grants.approve(asked))

    def _return(self, asked: AuthorizationRequest, **answer: str) -> Response:
        """Back to the application, with its state and with our name (RFC 9207, 2)."""
        if asked.state is not None:
            answer["state"] = asked.state
        joint = "&" if "?" in asked.redirect_uri else "?"
        location = f"{asked.redirect_uri}{joint}{urlencode({**answer, 'iss': self.issuer})}"
        return Response(303, headers=(("Location", location), ("Referrer-Policy", "no-referrer"), *_NO_STORE))

    def _token(self, request: Request) -> Response:
        fields = _fields(request.body.decode("latin-1"))
        refreshing = fields.get("grant_type") == "refresh_token"
        try:
            tokens = self._granted(fields)
        except Refused as refused:
            if refreshing and refused.code == "invalid_grant":
                self._note(Event.REFUSAL)
            status = 401 if refused.code == "invalid_client" else 400
            return _json(status, {"error": refused.code, "error_description": refused.reason})
        self._note(Event.REFRESH if refreshing else Event.SIGN_IN)
        return _json(200, tokens)

    def _granted(self, fields: Mapping[str, str]) -> dict[str, Any]:
        if fields.get("client_id") != CLIENT_ID:
            raise Refused("invalid_client", "there is only one application here")
        if fields.get("grant_type") == "authorization_code":
            code, redirect_uri, verifier = (fields.get(name, "") for name in ("code", "redirect_uri", "code_verifier"))
            return self._grants.exchange(code, redirect_uri, verifier)
        if fields.get("grant_type") == "refresh_token":
            return self._grants.refresh(fields.get("refresh_token", ""))
        raise Refused("unsupported_grant_type", "a code or a refresh token, please")

    def _revoke(self, request: Request) -> Response:
        fields = _fields(request.body.decode("latin-1"))
        if fields.get("client_id") != CLIENT_ID:
            return _json(401, {"error": "invalid_client"})
        if self._grants.revoke(fields.get("token", "")):
            self._note(Event.REVOCATION)
        return Response(200, headers=_NO_STORE)  # also where there was nothing to revoke (RFC 7009, 2.2)

    # The page

    def _control(self, request: Request) -> Response:
        key = secrets.token_urlsafe(32)
        self._keys.append(key)
        now = self.clock.now()
        view = page.View(
            issuer=self.issuer,
            now=now,
            sign_in=self._grants.newest,
            sign_ins=self.counts[Event.SIGN_IN],
            ttl=self.ttl,
            down=now < self._down_until,
            slow=now < self._slow_until,
            outage=self._outage,
            delay=self._slowness,
            recent=tuple(self._recent),
        )
        return page.control(view, key, still=request.query == "still")

    def _press(self, request: Request) -> Response:
        fields = _fields(request.body.decode("latin-1"))
        if fields.get("key") not in self._keys:
            return page.message(403, msg("This page is too old"), msg("Nothing was done."), back=True)
        self._keys.remove(fields["key"])
        press = {
            "revoke": self.revoke_session,
            "down": lambda: self.go_down(self._outage),
            "slow": lambda: self.go_slow(self._slowness, 2 * self._outage),
            "end": self.end_refresh_token,
            "soon": self.let_end_soon,
            "recover": self.recover,
        }.get(fields.get("trouble", ""))
        if press is None:
            return page.message(400, msg("There is no such button"), msg("Nothing was done."), back=True)
        press()
        self._recent.appendleft((self.clock.now(), page.PRESSED[fields["trouble"]]))
        return Response(303, headers=(("Location", "/"), *_NO_STORE))


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status, json.dumps(body).encode(), "application/json", _NO_STORE)


def _fields(text: str) -> dict[str, str]:
    """The parameters of a query or form; empty where one stands twice (RFC 6749, 3.1) or they cannot be read."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=30)
    except ValueError:
        return {}
    return dict(pairs) if len(pairs) == len(dict(pairs)) else {}
