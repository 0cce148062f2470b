"""What a token endpoint gave, read strictly: anything that is not a success is nothing (RFC 6749, 5.1)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tray_app.core.failure import Answer, members, server_time
from tray_app.core.tokens import LONGEST_LIFETIME, Secret, TokenAnswer

_PRINTABLE = re.compile(r"[\x20-\x7e]+")  # RFC 6749, appendix A: what tokens and scopes consist of
_HEADER_WORD = re.compile(r"[\x21-\x7e]+")  # a line break or space in a token would reach the headers of programs

_SIGN_IN_LIFETIMES = ("refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in")
"""No standard names it: GitHub and Microsoft, Keycloak, Intuit."""
_SIGN_IN_ENDS = ("refresh_token_expires_at", "refresh_expires_at", "refresh_token_expires_on")
"""The same as a moment."""
_MILLISECONDS = 1e11
"""More seconds than this are 3,000 years: they were milliseconds."""


def token_answer(answer: Answer, requested_at: datetime) -> TokenAnswer | None:
    """The tokens of a success; None for every other answer, whose meaning `classify` knows. Never raises.

    A success is status 200 with an access token that can stand in a header and the type Bearer, and without `error`
    (GitHub sends errors with 200). Other types must not be used by who does not know them (7.1).
    """
    body = members(answer)
    access_token, token_type = body.get("access_token"), body.get("token_type")
    if answer.status != 200 or body.get("error"):
        return None
    if not isinstance(access_token, str) or not _HEADER_WORD.fullmatch(access_token):
        return None
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        return None
    refresh_token, scope = _text(body, "refresh_token"), _text(body, "scope")
    return TokenAnswer(
        access_token=Secret(access_token),
        token_type="Bearer",  # noqa: S106 - a type, no secret
        requested_at=requested_at,
        lifetime=_lifetime(body.get("expires_in")),
        refresh_token=Secret(refresh_token) if refresh_token else None,
        scopes=tuple(scope.split()) or None if scope else None,
        sign_in_lifetime=_sign_in_lifetime(body, server_time(answer) or requested_at),
    )


def _sign_in_lifetime(body: Mapping[str, Any], now: datetime) -> timedelta | None:
    """How long the sign-in itself lasts, by whichever name; a moment is read by the server's own clock."""
    # 0 is no end: so Keycloak says that an offline session has none
    lives = [_lifetime(body.get(name)) for name in _SIGN_IN_LIFETIMES]
    ends = [_moment(body.get(name)) for name in _SIGN_IN_ENDS]
    lives += [max(end - now, timedelta(seconds=1)) if end else None for end in ends]
    return next((min(life, LONGEST_LIFETIME) for life in lives if life), None)


def _moment(value: object) -> datetime | None:
    """Seconds or milliseconds since 1970, as a number or a string of one, or a date as in RFC 3339."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else None
        except (ValueError, OverflowError):
            pass
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and _PRINTABLE.fullmatch(value) else None


def _lifetime(value: object) -> timedelta | None:
    """A number of seconds or a string of one, capped; None where it says nothing that can be believed."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds()))
