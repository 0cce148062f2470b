"""What Claude Code's own credentials file tells of its sign-in: two dates, and nothing else is taken from it.

The vendor's published terms let no other program hold these tokens, and two programs that refresh one token sign
people out: Lamplighter reads when the sign-in ends, and starts the person's own `claude auth login`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tray_app.core.account import Account
from tray_app.core.health import Health
from tray_app.core.schedule import ENDING_WITHIN

PROVIDER: Final = "claude-code"
PROGRAM: Final = "claude"
SIGN_IN: Final = ("auth", "login")
_LATEST: Final = 253_402_300_799_000
"""Milliseconds: the last second that a datetime can tell."""


def is_watched(account: Account) -> bool:
    """Whether another program keeps the account's tokens."""
    return account.provider == PROVIDER


@dataclass(frozen=True, slots=True)
class Reading:
    """The two dates, each None where the file has none that can be understood."""

    expires_at: datetime | None
    """The access token's; Claude Code renews that by itself."""
    sign_in_ends_at: datetime | None
    """The refresh token's: from then on only a sign-in helps."""


def reading_of(text: str) -> Reading | None:
    """The dates in the file's text; None where it tells of no sign-in.

    Raises ValueError, without any of the text in it, where the text is no whole JSON object: it is being written.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("not a whole JSON object")  # noqa: TRY004 - its text was wrong; the parser's own error holds it
    part = found.get("claudeAiOauth")
    if not isinstance(part, dict):
        return None
    reading = Reading(_moment(part.get("expiresAt")), _moment(part.get("refreshTokenExpiresAt")))
    return None if reading == Reading(None, None) else reading


def health_at(reading: Reading | None, now: datetime) -> Health:
    """The account's health (.github/CONTRACT.md, section 9); past `expires_at` it is still fresh."""
    if reading is None:
        return Health.SIGNED_OUT
    ends_at = reading.sign_in_ends_at
    if ends_at is None or ends_at - now > ENDING_WITHIN:
        return Health.FRESH
    return Health.ENDING if ends_at > now else Health.SIGN_IN_NEEDED


def health_changes_at(reading: Reading | None, now: datetime) -> datetime | None:
    """When time alone changes that health next."""
    if reading is None or reading.sign_in_ends_at is None:
        return None
    moments = (reading.sign_in_ends_at - ENDING_WITHIN, reading.sign_in_ends_at)
    return min((moment for moment in moments if moment > now), default=None)


def is_new_sign_in(before: Reading | None, after: Reading | None, now: datetime) -> bool:
    """Whether a sign-in has come in between: a later end, whatever the program that did it said of itself."""
    if after is None or health_at(after, now) is Health.SIGN_IN_NEEDED:
        return False
    if before is None:
        return True
    old, new = before.sign_in_ends_at, after.sign_in_ends_at
    if old is None or new is None:
        old, new = before.expires_at, after.expires_at
    return new is not None and (old is None or new > old)


def _moment(value: object) -> datetime | None:
    """Milliseconds since 1970 as a moment."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value) if 0 < value <= _LATEST else None
