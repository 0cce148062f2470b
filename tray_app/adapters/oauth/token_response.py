"""What a token endpoint gave. What can be read without doubt is read, however it is wrapped (RFC 6749, 5.1).

Any 2xx with an access token is a success: servers send 201, text/plain, no `token_type` and no `expires_in`. A good
token that is thrown away costs the sign-in, where the refresh token that was sent for it is spent.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tray_app.core.message import msg
from tray_app.core.provider_errors import Answer, is_html, members, server_time
from tray_app.core.tokens import LONGEST_LIFETIME, Secret, TokenAnswer

_PRINTABLE = re.compile(r"[\x20-\x7e]+")  # RFC 6749, appendix A: what tokens and scopes consist of
_HEADER_WORD = re.compile(r"[\x21-\x7e]+")  # a line break or space in a token would reach the headers of programs

_TYPE = re.compile(r"[A-Za-z0-9_-]{1,20}")  # what may be repeated in a message: a token is longer

_LIFE: Final = ("expires_in", "expires_on", "expires_at", "expires", "expires_in_sec")
"""The standard's name first; Entra v1, Strava, GitLab and others say it by the other names."""
_SIGN_IN_LIFE: Final = (
    "refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in",
    "refresh_token_expires_at", "refresh_expires_at", "refresh_token_expires_on",
)  # fmt: skip
"""No standard names it: GitHub and Microsoft, Keycloak, Intuit, and the same as moments."""
_NEAR: Final = timedelta(days=5 * 365)
"""A number this close to now, as seconds or milliseconds since 1970, is a moment; any other is a life."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A 2xx answer without an access token that can be used."""

    reason: str
    """What is missing or wrong, to follow "HOST answered ..."."""
    refresh_token: Secret | None = None
    """A new refresh token that came all the same: the one that was sent for it may be spent."""


def token_answer(
    answer: Answer, requested_at: datetime, *, bearer_types: frozenset[str] = frozenset()
) -> TokenAnswer | None:
    """The tokens of a success; None for every other answer, whose meaning `classify` and `unusable` know. Never raises.

    A success has a status of 2xx, an access token that can stand in a header, the type Bearer or none, and no `error`
    (GitHub sends errors with 200). Other types must not be used by who does not know them (7.1); `bearer_types` are
    what this provider calls Bearer.
    """
    body = members(answer)
    if not _is_success(answer, body) or not _is_bearer(body.get("token_type"), bearer_types):
        return None
    access_token = body.get("access_token")
    if not isinstance(access_token, str) or not _HEADER_WORD.fullmatch(access_token):
        return None
    server = server_time(answer) or requested_at
    lifetime, source = _lifetime(body, access_token, server)
    return TokenAnswer(
        access_token=Secret(access_token),
        token_type="Bearer",  # noqa: S106 - a type, no secret
        requested_at=requested_at,
        lifetime=lifetime,
        refresh_token=_refresh_token(body),
        scopes=_scopes(body.get("scope")),
        sign_in_lifetime=next((life for name in _SIGN_IN_LIFE if (life := _life(body.get(name), server))), None),
        lifetime_source=source,
    )


def unusable(answer: Answer) -> Unusable | None:
    """Why a 2xx answer is no token answer; None where it is no success, an error or a page for people."""
    body = members(answer)
    if not _is_success(answer, body) or is_html(answer):
        return None
    access_token, token_type = body.get("access_token"), body.get("token_type")
    if not body:
        reason = msg("without a JSON object")
    elif access_token is None or access_token == "":
        reason = msg("without `access_token`")
    elif not isinstance(access_token, str) or not _HEADER_WORD.fullmatch(access_token):
        reason = msg("with an `access_token` that cannot be used")
    elif isinstance(token_type, str) and _TYPE.fullmatch(token_type):
        reason = msg("with the `token_type` {type}, which is not supported", type=token_type)
    else:
        reason = msg("with a `token_type` that is not supported")
    return Unusable(reason, _refresh_token(body))


def new_refresh_token(answer: Answer) -> Secret | None:
    """The refresh token in an answer, whatever else is in it."""
    return _refresh_token(members(answer))


def _is_success(answer: Answer, body: Mapping[str, Any]) -> bool:
    return 200 <= answer.status < 300 and not body.get("error") and body.get("ok") is not False  # Slack: "ok": false


def _is_bearer(token_type: object, bearer_types: frozenset[str]) -> bool:
    """Absent, null and empty are Bearer, too: LinkedIn, VK and Foursquare leave it out."""
    if token_type is None:
        return True
    return isinstance(token_type, str) and token_type.strip().lower() in {"", "bearer", *bearer_types}


def _refresh_token(body: Mapping[str, Any]) -> Secret | None:
    value = body.get("refresh_token")
    return Secret(value) if isinstance(value, str) and _PRINTABLE.fullmatch(value) else None


def _scopes(value: object) -> tuple[str, ...] | None:
    """A text with spaces between the scopes, or a list of them (Twitch)."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = " ".join(value)
    return tuple(value.split()) or None if isinstance(value, str) and _PRINTABLE.fullmatch(value) else None


def _lifetime(body: Mapping[str, Any], access_token: str, server: datetime) -> tuple[timedelta | None, str | None]:
    """The access token's life and what told it; None where nothing did.

    What says 0 or less says nothing. A JWT that ends sooner than the answer promises is believed (RFC 9068, 2.2).
    """
    stated = ((life, name) for name in _LIFE if (life := _life(body.get(name), server)))
    life, source = next(stated, (None, None))
    own = _jwt_life(access_token, server)
    if own is not None and (life is None or own < life):
        return own, "the token's own `exp`"
    return life, source


def _life(value: object, server: datetime) -> timedelta | None:
    """A life, however it is told: seconds, or a moment as epoch seconds, epoch milliseconds or RFC 3339.

    A moment is read by the server's clock, so that a wrong one here costs nothing. None where it is not above zero.
    """
    moment = _date(value) if isinstance(value, str) else None
    seconds = None if moment else _number(value)
    if seconds is not None:
        epochs = (_epoch(seconds), _epoch(seconds / 1000))
        moment = next((one for one in epochs if one and abs(one - server) < _NEAR), None)
    if moment is not None:
        life = moment - server
    elif seconds is not None:
        life = timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds()))
    else:
        return None
    return min(life, LONGEST_LIFETIME) if life > timedelta(0) else None


def _jwt_life(access_token: str, server: datetime) -> timedelta | None:
    """What a JWT says of its own life: `exp` less `iat` (RFC 7519, 4.1); None for any other token."""
    parts = access_token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict) or (end := _number(claims.get("exp"))) is None:
        return None
    start = _number(claims.get("iat"))
    seconds = end - (server.timestamp() if start is None else start)
    return timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds())) if seconds > 0 else None


def _number(value: object) -> float | None:
    """A finite number of at least zero, or a string of one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _epoch(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _date(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
