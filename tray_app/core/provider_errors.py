"""What a response of an authorization server means: one pure function, so that nothing else decides to drop a token.

Two rules. `invalid_grant` in a JSON object is looked for before status and content type, since providers send it with
400, 401, 403 and even 200, and as text/plain. And only such an object is final: a proxy's page, a captive portal and
a broken gateway also answer 4xx and 200, and none of them knows anything about the sign-in.
"""

from __future__ import annotations

import contextlib
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
"""After these only a sign-in helps. `interrupted` is a refusal that an unfinished refresh of our own explains."""


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
    """There was no DNS or no route: nothing was sent, so it costs nobody anything to try again soon."""
    keeps_tokens: bool = False
    """A refusal that asks for the person but does not say that the refresh token is dead: it is kept, and tried again
    once an hour (`interaction_required` and its like)."""

    @property
    def ends_sign_in(self) -> bool:
        """Whether the tokens are dead."""
        return self.kind in ENDS_SIGN_IN and not self.keeps_tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP. Header names are in lower case; the body is already capped in size."""

    status: int
    headers: Mapping[str, str]
    body: bytes


GATEWAY_STATUSES: Final = frozenset({502, 504})
"""A gateway got no response from the server behind it, which may still have acted (RFC 9110, 15.6.3, 15.6.5)."""
FINAL: Final = frozenset({"invalid_grant"})
INTERACTION: Final = frozenset(
    {"interaction_required", "login_required", "consent_required", "account_selection_required"}
)
"""The provider wants the person, and says nothing about the refresh token (OpenID Connect Core, 3.1.2.6; Entra sends
them from the token endpoint)."""
CONFIGURATION: Final = frozenset(
    {"invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "unsupported_grant_type"}
)
ANOTHER_SUBJECT: Final = "another_subject"
"""Our own code: an id_token for another person came. Nothing is tried again before a sign-in."""
SHORTEST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = timedelta(days=31)
"""Cap for `Retry-After`: more than a month is a mistake, and the sign-in would end meanwhile."""

_TEXT_LIMIT: Final = 200
_CODE_KEYS: Final = ("code", "type", "error", "errorType", "error_type", "errorCode", "error_code")
_TEXT_KEYS: Final = ("error_description", "message", "error_message", "errorMessage", "detail", "description", "title")


def plain(text: object, limit: int = _TEXT_LIMIT) -> str:
    """Hostile text as one short line: no control, escape or direction characters, at most `limit` characters."""
    return "".join(one if one.isprintable() else " " for one in str(text)[:limit]).strip()


def printable(text: str) -> str:
    """The text as a terminal may show it: line breaks stay, escape and direction characters become spaces."""
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


def escaped(text: str) -> str:
    """The text as HTML and notification markup show it, between tags. (The standard library's `html` is 0.5 MB.)"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def members(answer: Answer) -> dict[str, Any]:
    """The members of the one JSON object that the body is, else of the form; empty where it is neither.

    The content type does not decide, nor does a byte order mark: servers send JSON as text/plain, text/html and
    application/octet-stream. A form is read only where the server says it is one (GitHub).
    """
    text = answer.body.decode(json.detect_encoding(answer.body), "replace").removeprefix("\ufeff")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # json raises RecursionError on deep nesting
        found = None
    if isinstance(found, dict):
        return found
    if _content_type(answer) == "application/x-www-form-urlencoded":
        with contextlib.suppress(ValueError):
            return dict(parse_qsl(text, max_num_fields=50))
    return {}


def error_code(body: Mapping[str, Any]) -> str | None:
    """The first error code in a body: `error` (RFC 6749, 5.2), or what a dialect has in its place."""
    return next(iter(error_codes(body)), None)


def error_codes(body: Mapping[str, Any]) -> list[str]:
    """Every error code in a body, `error` first.

    `error` may be an object (Anthropic), `errors` a list of texts or objects (Fitbit, Strava), and Entra adds numbers
    as `error_codes`.
    """
    listed = body.get("errors")
    places: list[object] = [body.get("error"), *(listed if isinstance(listed, list) else [listed])]
    found: list[object] = []
    for place in places:
        if isinstance(place, dict):
            field, code = place.get("field"), place.get("code")
            found += [f"{field}: {code}"] if field and code else []  # Strava's code alone is "invalid" for everything
            found += [place.get(key) for key in _CODE_KEYS]
        else:
            found.append(place)
    found += [body.get(key) for key in _CODE_KEYS]
    numbers = body.get("error_codes")
    found += numbers[:20] if isinstance(numbers, list) else []
    texts = [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in found]
    return list(dict.fromkeys(plain(one) for one in texts if isinstance(one, str) and plain(one)))


def error_text(body: Mapping[str, Any]) -> str:
    """What the server says in its own words, as one line; empty where it says nothing."""
    listed = body.get("errors")
    places = [body, body.get("error"), *(listed if isinstance(listed, list) else [])]
    found = (place.get(key) for place in places if isinstance(place, dict) for key in _TEXT_KEYS)
    return next((plain(one) for one in found if isinstance(one, str) and plain(one)), "")


def is_html(answer: Answer) -> bool:
    """Whether the body is a page for people: what a captive portal or a proxy sends."""
    first = answer.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return first == b"<" or ("html" in _content_type(answer) and first not in b"{[")


def _content_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


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
    from_token_endpoint: bool = False,
) -> Failure:
    """The failure that an answer without tokens means. Pure; never raises.

    `refused_codes` and `configuration_codes` are the names that the account's preset gives to `invalid_grant`, and to
    `invalid_client` and its like: a code, or where a provider has no codes the whole of its message. Only a token
    endpoint's page may be the sign-in page of a network: elsewhere that is never said.
    """
    body = members(answer)
    codes, text = error_codes(body), error_text(body)
    code = codes[0] if codes else None
    reason = joined(": ", (code or "", text if text != code else ""))
    names = {one.lower() for one in (*codes, text) if one}
    if names & (FINAL | _lowered(refused_codes)):
        message = msg("{host} no longer accepts this sign-in ({reason})", host=host, reason=reason)
        code = next((one for one in codes if one.lower() in FINAL), code)
        return Failure(FailureKind.REFUSED, message, now, code, status=answer.status)
    if names & INTERACTION:
        message = msg("{host} asks you to sign in again ({reason})", host=host, reason=reason)
        return Failure(FailureKind.REFUSED, message, now, code, status=answer.status, keeps_tokens=True)
    if answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers):
        message = msg("{host} asks to wait before it is called again", host=host)
        return Failure(FailureKind.THROTTLED, message, now, code, retry_after(answer, now), answer.status)
    if names & (CONFIGURATION | _lowered(configuration_codes)):
        message = msg("{host} refuses the configuration ({reason})", host=host, reason=reason)
        return Failure(FailureKind.MISCONFIGURED, message, now, code, status=answer.status)
    why = _why_unreachable(answer, host, reason, may_be_portal=from_token_endpoint and is_html(answer))
    return Failure(FailureKind.UNREACHABLE, why, now, code, status=answer.status)


def configuration_remedy(name: str, failure: Failure, command: str) -> str:
    """What to do where the provider refuses the configuration: the key to check and the `command` that tries again.

    Where no key is to blame, as with `invalid_request`, a sign-in is what may help.
    """
    keys = {"invalid_scope": "scopes", "invalid_client": "client_id", "unauthorized_client": "client_id"}
    key = "redirect_uri" if "redirect_uri" in f"{failure.code} {failure.message}" else keys.get(failure.code or "")
    if key == "client_id":
        return msg("Check client_id and client secret of accounts.{name}, then: {command}", name=name, command=command)
    if key is not None:
        return msg("Check {key} of accounts.{name}, then: {command}", key=key, name=name, command=command)
    return msg("Sign in: {command}", command=f"lamplighter login {name}")


def _lowered(codes: frozenset[str]) -> frozenset[str]:
    return frozenset(code.lower() for code in codes)


def _why_unreachable(answer: Answer, host: str, reason: str, *, may_be_portal: bool) -> str:
    status = answer.status
    if reason:
        return msg("{host} cannot help now ({reason})", host=host, reason=reason)
    if status >= 500:
        return msg("{host} is out of order (HTTP {status})", host=host, status=status)
    if 300 <= status < 400:
        return msg(
            "{host} answered with a redirect, which a token endpoint must not (HTTP {status})", host=host, status=status
        )
    if status < 300 and may_be_portal:
        return msg("{host} answered, but not with a token; maybe a sign-in page of this network", host=host)
    if status < 300:
        return msg("{host} answered, but not with what was asked for (HTTP {status})", host=host, status=status)
    return msg("{host} answered in an unexpected way (HTTP {status})", host=host, status=status)
