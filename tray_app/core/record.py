"""Everything known about one account, and the few ways in which it changes.

Facts are stored, health is derived (`core/health.py`): a stored health goes stale in a sleeping laptop.

Invariants, each with a random-history test in tests/unit/test_record.py:
I1  a refresh token is forgotten only when the provider refused it, a new sign-in replaced it, or the person signed
    out or removed the account.
I2  a failure never hides a valid access token.
I3  while there is a refresh token there is always a next due time.
I4  time alone never makes health better, and never makes `sign-in-needed` of a sign-in that could still be tried.
I5  at most one refresh per account is under way (held by the refresh lock).
I6  no path leads from a failed refresh to an open browser (nothing here knows a browser).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tray_app.core.failure import Failure, FailureKind
from tray_app.core.tokens import TokenSet

NO_ANSWER_TO_THE_TOKEN: Final = frozenset({407, 408, 429})
"""Statuses below 500 that say nothing about the refresh token."""


@dataclass(frozen=True, slots=True)
class Record:
    """The state of one account. Changes only through the functions below; each raises the revision."""

    tokens: TokenSet | None = None
    failure: Failure | None = None
    """The last failed attempt since the last success."""
    attempts: int = 0
    """Failed attempts in a row."""
    retry_at: datetime | None = None
    """When to try again after a failure."""
    turned_away: int = 0
    """How often in a row the provider answered the refresh token with anything but tokens, 429, 5xx or a redirect."""
    turned_away_since: datetime | None = None
    last_refresh_at: datetime | None = None
    spread: float = 0.0
    """A uniform draw from [0, 1) per token set, so that machines started together do not refresh together."""
    stored_as: datetime | None = None
    """When the tokens came, as stored; None unless the clock was set back since."""
    unsaved: bool = False
    """The store refused these tokens: they are in memory only and the write is retried."""
    revision: int = 0


def signed_in(record: Record, tokens: TokenSet, spread: float) -> Record:
    """A sign-in has replaced whatever was there."""
    return Record(tokens=tokens, last_refresh_at=None, spread=spread, revision=record.revision + 1)


def refreshed(record: Record, tokens: TokenSet, at: datetime, spread: float) -> Record:
    """A refresh has succeeded, here or in another process whose tokens are adopted."""
    return Record(tokens=tokens, last_refresh_at=at, spread=spread, revision=record.revision + 1)


def failed(record: Record, failure: Failure, retry_at: datetime | None) -> Record:
    """An attempt has failed. Only a refusal takes the tokens away (I1); everything else keeps them (I2)."""
    ended = failure.ends_sign_in
    away = turns_away(failure)
    return replace(
        record,
        tokens=None if ended else record.tokens,
        failure=failure,
        attempts=attempts_with(record, failure),
        retry_at=None if ended else retry_at,
        turned_away=record.turned_away + 1 if away else 0,
        turned_away_since=(record.turned_away_since or failure.at) if away else None,
        unsaved=record.unsaved and not ended,
        revision=record.revision + 1,
    )


def refresh_token_replaced(record: Record, tokens: TokenSet) -> Record:
    """An answer of no other use has brought a new refresh token, which the old access token is now kept with."""
    return replace(record, tokens=tokens, revision=record.revision + 1)


def turns_away(failure: Failure) -> bool:
    """Whether the server has answered the refresh token, and given no tokens for it.

    It ends no sign-in: proxies and portals do so, too. An outage (5xx), a redirect and a server that asks to wait
    say nothing about the token.
    """
    status = failure.status
    if failure.kind is FailureKind.THROTTLED:
        return False
    return status is not None and not 300 <= status < 400 and status < 500 and status not in NO_ANSWER_TO_THE_TOKEN


def attempts_with(record: Record, failure: Failure) -> int:
    """How many attempts in a row have failed, this one included.

    A refused configuration is counted by itself: an outage before it must not use up its three attempts. So is a
    network that is not there: a night without one must not make the first attempt with one wait for minutes.
    """
    before = record.failure or failure
    kinds = {before.kind, failure.kind}
    if (len(kinds) > 1 and FailureKind.MISCONFIGURED in kinds) or before.offline != failure.offline:
        return 1
    return record.attempts + 1


def unstored(record: Record, failure: Failure, retry_at: datetime) -> Record:
    """The store refused the tokens just received: they stay in memory and the write is retried."""
    return replace(failed(record, failure, retry_at), unsaved=True)


def stored(record: Record) -> Record:
    """The store accepted what it refused before. Only a failure of the store is cleared by that."""
    saved = replace(record, unsaved=False, stored_as=None, revision=record.revision + 1)
    if record.failure is not None and record.failure.kind is not FailureKind.STORE:
        return saved
    return replace(saved, failure=None, attempts=0, retry_at=None)


def hurried(record: Record, at: datetime) -> Record:
    """The network or the clock has changed: what failed because of it is retried from the start, at `at`."""
    return replace(record, attempts=0, retry_at=at, revision=record.revision + 1)


def set_back(record: Record, by: timedelta) -> Record:
    """The clock was set back by this much: every stored time is moved with it, so that nothing becomes younger.

    Tokens keep their age, and a provider's Retry-After keeps what is left of it (.github/CONTRACT.md, section 5).
    """
    tokens, failure = record.tokens, record.failure
    return replace(
        record,
        tokens=tokens and dated_back(tokens, by),
        stored_as=record.stored_as or (tokens.received_at if tokens else None),
        failure=failure and replace(failure, at=_before(failure.at, by), not_before=_earlier(failure.not_before, by)),
        retry_at=_earlier(record.retry_at, by),
        turned_away_since=_earlier(record.turned_away_since, by),
        last_refresh_at=_earlier(record.last_refresh_at, by),
        revision=record.revision + 1,
    )


def dated_back(tokens: TokenSet, by: timedelta) -> TokenSet:
    """The tokens, re-dated for a clock that was set back by this much since they came: their age stays the same."""
    ends_at = _earlier(tokens.sign_in_ends_at, by)
    return replace(tokens, received_at=_before(tokens.received_at, by), sign_in_ends_at=ends_at)


def signed_out(record: Record) -> Record:
    """The person has signed out: nothing is left to retry or to explain."""
    return Record(revision=record.revision + 1)


def _before(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment - by
    except OverflowError:  # a clock of the year 1
        return datetime.min.replace(tzinfo=UTC)


def _earlier(moment: datetime | None, by: timedelta) -> datetime | None:
    return None if moment is None else _before(moment, by)
