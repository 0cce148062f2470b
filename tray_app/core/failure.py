"""What a response of an authorization server means: one pure function, so that nothing else decides to drop a token.

Two rules. `invalid_grant` in an OAuth JSON body is looked for before the status, since providers send it with
400, 401, 403 and even 200. And only such a body is final: a proxy's page, a captive portal and a broken gateway
also answer 4xx and 200, and none of them knows anything about the sign-in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

from tray_app.core.message import joined, msg


class FailureKind(StrEnum):
    """The classes of failure in .github/CONTRACT.md, section 5; the value is `last_error.kind`."""

    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    UNTRUSTED = "untrusted"
    STORE = "store"
    INTERRUPTED = "interrupted"


ENDS_SIGN_IN: Final = frozenset({FailureKind.REFUSED, FailureKind.INTERRUPTED})
"""After these the tokens are useless. `interrupted`: a refusal caused by an unfinished refresh of our own."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt: its class, and the reason in words for people."""

    kind: FailureKind
    message: str
    at: datetime
    code: str | None = None
    """The OAuth error code, where there was one (RFC 6749, 5.2)."""
    not_before: datetime | None = None
    """The provider asked not to be called again before this (RFC 9110, 10.2.3)."""
    status: int | None = None
    """The HTTP status of the provider's own response; None where none came."""
    offline: bool = False
    """There was no DNS or no route: nothing was sent, so trying again soon does no harm."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP. Header names are in lower case; the body is already capped in size."""

    status: int
    headers: Mapping[str, str]
    body: bytes


GATEWAY_STATUSES: Final = frozenset({502, 504})
"""A gateway got no response from the server behind it, which may still have acted (RFC 9110, 15.6.3, 15.6.5)."""
FINAL: Final = frozenset({"invalid_grant"})
CONFIGURATION: Final = frozenset(
    {"invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "unsupported_grant_type"}
)
SHORTEST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(days=31)
"""Cap for `Retry-After`: more than a month is a mistake, and the sign-in would end meanwhile."""

_TEXT_LIMIT: Final = 200


def plain(text: object, limit: int = _TEXT_LIMIT) -> str:
    """Hostile text as one short line: no control, escape or direction characters, at most `limit` characters."""
    return "".join(one if one.isprintable() else " " for one in str(text)[:limit]).strip()


def escaped(text: str) -> str:
    """The text as HTML and notification markup show it, between tags. (The standard library's `html` is 0.5 MB.)"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def members(answer: Answer) -> dict[str, Any]:
    """The members of an OAuth response body; empty where it is no JSON object.

    JSON is the rule (RFC 6749, 5.1). A form is read only where the server says it is one (GitHub).
    """
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError:
        return {}
    if content_type == "application/x-www-form-urlencoded":
        try:
            return dict(parse_qsl(text, max_num_fields=50))
        except ValueError:
            return {}
    if content_type != "application/json" and not content_type.endswith("+json"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # json raises RecursionError on deep nesting
        return {}
    return found if isinstance(found, dict) else {}


def error_code(body: Mapping[str, Any]) -> str | None:
    """The `error` of an OAuth body; of an object in its place (Anthropic) its `type`."""
    error = body.get("error")
    if isinstance(error, dict):
        error = error.get("type") or error.get("code")
    return plain(error) if isinstance(error, str) and error else None


def retry_after(answer: Answer, now: datetime) -> datetime | None:
    """The time in `Retry-After`, given in seconds or as a date (RFC 9110, 10.2.3), else None.

    A date is read by the server's own clock where it tells it: ours may be hours away from it.
    """
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
        wait = timedelta(seconds=seconds) if math.isfinite(seconds) else None
    except (ValueError, OverflowError):
        date = _http_date(text)
        wait = date - (server_time(answer) or now) if date else None
    if wait is None or wait < timedelta(0):
        return None
    return now + min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)


def server_time(answer: Answer) -> datetime | None:
    """The server's clock when it responded: `Date`, plus `Age` for a cached response (RFC 9110, 6.6.1; 9111, 5.1)."""
    date = _http_date(answer.headers.get("date", ""))
    age = answer.headers.get("age", "0").strip()
    if date is None or not (age.isascii() and age.isdigit() and len(age) < 10):
        return None
    try:
        return date + timedelta(seconds=int(age))
    except OverflowError:  # the last days of the year 9999
        return None


def gave_up(failure: Failure, before: Failure | None) -> bool:
    """Whether a gateway may have lost the provider's response. If it happens again, the gateway is broken."""
    if failure.kind is not FailureKind.UNREACHABLE or failure.status not in GATEWAY_STATUSES:
        return False
    return before is None or before.status != failure.status


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def classify(
    answer: Answer,
    now: datetime,
    *,
    host: str,
    refused_codes: frozenset[str] = frozenset(),
    configuration_codes: frozenset[str] = frozenset(),
) -> Failure:
    """The failure that an answer without tokens means. Pure; never raises.

    The codes are the names that the account's preset gives to `invalid_grant`, and to `invalid_client` and its like.
    """
    body = members(answer)
    code = error_code(body)
    text = plain(body.get("error_description") or "") if code else ""
    reason = joined(": ", (code or "", text))
    if code in FINAL or code in refused_codes:
        message = msg("{host} no longer accepts this sign-in ({reason})", host=host, reason=reason)
        return Failure(FailureKind.REFUSED, message, now, code, status=answer.status)
    if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
        message = msg("{host} asks to wait before it is called again", host=host)
        return Failure(FailureKind.THROTTLED, message, now, code, retry_after(answer, now), answer.status)
    if code in CONFIGURATION or code in configuration_codes:
        message = msg("{host} refuses the configuration ({reason})", host=host, reason=reason)
        return Failure(FailureKind.MISCONFIGURED, message, now, code, status=answer.status)
    return Failure(FailureKind.UNREACHABLE, _why_unreachable(answer, host, code), now, code, status=answer.status)


def _why_unreachable(answer: Answer, host: str, code: str | None) -> str:
    status = answer.status
    if code:
        return msg("{host} cannot help now ({reason})", host=host, reason=code)
    if status >= 500:
        return msg("{host} is out of order (HTTP {status})", host=host, status=status)
    if 300 <= status < 400:
        return msg(
            "{host} answered with a redirect, which a token endpoint must not (HTTP {status})", host=host, status=status
        )
    if status == 200:
        return msg("{host} answered, but not with a token; maybe a sign-in page of this network", host=host)
    return msg("{host} answered in an unexpected way (HTTP {status})", host=host, status=status)
