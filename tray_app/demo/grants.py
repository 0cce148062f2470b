"""What the demo's authorization server has granted: codes, sign-ins and their tokens. No I/O."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tray_app.core.message import msg
from tray_app.core.ports import Clock

CODE_LIFE = timedelta(minutes=1)
SIGN_IN_DAYS = 30
ENDING_SIGN_IN_DAYS = 2
"""Within the three days in which Lamplighter says that a sign-in ends soon."""


class Refused(Exception):
    """The token endpoint says no: an error code of RFC 6749, 5.2, and the reason in words."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid request of an application, waiting for the person or behind a code."""

    redirect_uri: str
    state: str | None
    scope: str
    challenge: str


@dataclass(slots=True)
class SignIn:
    """One sign-in with its family of tokens, of which only the newest are good."""

    name: str
    """Unguessable; part of every token of the family, so that an old one still leads here."""
    scope: str
    at: datetime
    access_token: str = field(default="", repr=False)
    access_ends_at: datetime = field(init=False)
    refresh_token: str = field(default="", repr=False)
    refreshes: int = 0
    ends_soon: bool = False
    ended: str = ""
    """Why the refresh token is refused; empty while it is not."""


@dataclass(slots=True)
class _Code:
    request: AuthorizationRequest
    ends_at: datetime
    sign_in: SignIn | None = None


class Grants:
    """Codes that serve once, refresh tokens that serve once where `rotate` is set, access tokens that live `ttl` s."""

    def __init__(self, clock: Clock, ttl: int, *, rotate: bool) -> None:
        self._clock = clock
        self._ttl = ttl
        self._rotate = rotate
        self._codes: dict[str, _Code] = {}
        self._sign_ins: dict[str, SignIn] = {}

    @property
    def newest(self) -> SignIn | None:
        """The sign-in that was made last, ended or not."""
        return next(reversed(self._sign_ins.values()), None)

    def live(self) -> Iterable[SignIn]:
        """The sign-ins that can be refreshed."""
        return [one for one in self._sign_ins.values() if not one.ended]

    def approve(self, request: AuthorizationRequest) -> str:
        """A code for the request that the person has approved."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(request, self._clock.now() + CODE_LIFE)
        return code

    def exchange(self, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """Tokens for a code (RFC 6749, 4.1.3; RFC 7636, 4.6). Raises `Refused`.

        A code serves one attempt, right or wrong. One that comes again also ends the sign-in that it gave (4.1.2).
        """
        granted = self._codes.get(code)
        if granted is None:
            raise Refused("invalid_grant", "the code is unknown")
        if granted.ends_at <= self._clock.now():
            if granted.sign_in:
                granted.sign_in.ended = msg("its code was used twice")
            raise Refused("invalid_grant", "the code has ended or was used")
        granted.ends_at = self._clock.now()
        if redirect_uri != granted.request.redirect_uri:
            raise Refused("invalid_grant", "the redirect URI is not that of the authorization request")
        digest = hashlib.sha256(verifier.encode()).digest()
        if not secrets.compare_digest(
            base64.urlsafe_b64encode(digest).rstrip(b"="), granted.request.challenge.encode()
        ):
            raise Refused("invalid_grant", "the code verifier does not fit")
        sign_in = granted.sign_in = SignIn(secrets.token_hex(16), granted.request.scope, self._clock.now())
        self._sign_ins[sign_in.name] = sign_in
        return self._tokens(sign_in)

    def refresh(self, token: str) -> dict[str, Any]:
        """New tokens for a refresh token (RFC 6749, 6). Raises `Refused`.

        A rotated token that comes again means that two hold it: nobody can tell who is the thief, so the sign-in
        ends for both (RFC 9700, 4.14.2).
        """
        sign_in = self._of(token)
        if sign_in is None:
            raise Refused("invalid_grant", "the refresh token is unknown")
        if sign_in.ended:
            raise Refused("invalid_grant", sign_in.ended)
        if not secrets.compare_digest(token.encode(), sign_in.refresh_token.encode()):
            sign_in.ended = msg("a refresh token was used twice")
            raise Refused("invalid_grant", sign_in.ended)
        sign_in.refreshes += 1
        return self._tokens(sign_in)

    def revoke(self, token: str) -> bool:
        """Ends the sign-in that the access or refresh token belongs to (RFC 7009, 2.1); False where none does."""
        sign_in = self._of(token)
        if sign_in is None or sign_in.ended or token not in {sign_in.access_token, sign_in.refresh_token}:
            return False
        sign_in.ended = msg("the application has signed out")
        sign_in.access_ends_at = self._clock.now()
        return True

    def _of(self, token: str) -> SignIn | None:
        return self._sign_ins.get(token.partition(".")[0])

    def _tokens(self, sign_in: SignIn) -> dict[str, Any]:
        sign_in.access_token = f"{sign_in.name}.{secrets.token_urlsafe(32)}"
        sign_in.access_ends_at = self._clock.now() + timedelta(seconds=self._ttl)
        answer = {
            "access_token": sign_in.access_token,
            "token_type": "Bearer",
            "expires_in": self._ttl,
            "scope": sign_in.scope,
            "refresh_token_expires_in": 86400 * (ENDING_SIGN_IN_DAYS if sign_in.ends_soon else SIGN_IN_DAYS),
        }
        if self._rotate or not sign_in.refresh_token:
            answer["refresh_token"] = sign_in.refresh_token = f"{sign_in.name}.{secrets.token_urlsafe(32)}"
        return answer
