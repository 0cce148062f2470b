"""When a refresh or a retry is due: pure functions of record, policy, `now` and a random draw from [0, 1)."""

from __future__ import annotations

from datetime import datetime, timedelta

from tray_app.core.account import RefreshPolicy, RetryPolicy
from tray_app.core.provider_errors import ANOTHER_SUBJECT, Failure, FailureKind
from tray_app.core.record import Record
from tray_app.core.tokens import CLOCK_TOLERANCE, TokenSet

SHORTEST_PLANNED_LIFE = timedelta(seconds=3)
"""Shorter lifetimes are planned as this: a wrong `expires_in` causes no storm (.github/CONTRACT.md, section 5)."""

ENDING_WITHIN = timedelta(days=3)
"""How long before its end a sign-in is `ending` (.github/CONTRACT.md, section 4)."""
MISCONFIGURED_ATTEMPTS = 3
MISCONFIGURED_PAUSE = timedelta(hours=1)
"""Retry interval after three refusals of the configuration: it may have been fixed at the provider."""


REFUSED_PAUSE = timedelta(hours=1)
"""How often a refresh token that the provider does not take now is tried: it may take it later."""

OFFLINE_PAUSE = timedelta(seconds=20)
"""What is due is refreshed within 30 s of the return of a network, even if nothing signals it (section 5)."""


def lead(tokens: TokenSet, policy: RefreshPolicy) -> timedelta:
    """How long before expiry a refresh is due: `refresh_before`, but at most a fifth of the life."""
    return min(policy.refresh_before, _planned_life(tokens) / 5)


def refresh_due(tokens: TokenSet, policy: RefreshPolicy, spread: float) -> datetime:
    """When to refresh: `lead` before expiry, a little earlier at random.

    `spread` is a uniform draw from [0, 1); it keeps a fleet that was restarted together from refreshing together.
    Returns an aware UTC datetime, always after `received_at` and before expiry.
    """
    life = _planned_life(tokens)
    due = tokens.received_at + life - lead(tokens, policy) - spread * life / 20
    if policy.refresh_every is not None:
        due = min(due, tokens.received_at + policy.refresh_every * (1 - spread / 20))
    return due


def retry_due(failure: Failure, attempts: int, policy: RetryPolicy, draw: float) -> datetime | None:
    """When to try again after the `attempts`-th failure in a row; None where only the person can help.

    Exponential backoff with full jitter, from `policy.first` to `policy.limit`. A provider that asked to be left
    alone is not called before that. Where there is no network nothing is sent, so it is looked for every 20 s.
    """
    if failure.ends_sign_in:
        return None
    if failure.code == ANOTHER_SUBJECT:
        return None  # the tokens may be another person's by now
    if failure.keeps_tokens:
        return failure.at + REFUSED_PAUSE
    if failure.kind is FailureKind.MISCONFIGURED and attempts >= MISCONFIGURED_ATTEMPTS:
        return failure.at + MISCONFIGURED_PAUSE
    ceiling = min(policy.limit, policy.first * float(2 ** min(attempts, 32)))
    wait = max(policy.first, min(ceiling, OFFLINE_PAUSE) if failure.offline else ceiling * draw)
    at = failure.at + min(wait, policy.limit)
    return max(at, failure.not_before) if failure.not_before else at


def next_due(record: Record, bound_to: str, policy: RefreshPolicy) -> datetime | None:
    """When the next refresh or retry is due; None where only a person can help.

    I3: while there is a refresh token that may be sent, there is always a next due time.
    """
    tokens, failure = record.tokens, record.failure
    refreshable = may_refresh(record, bound_to)
    retry = record.retry_at if refreshable or (failure is not None and failure.kind is FailureKind.STORE) else None
    if failure is not None and failure.kind is not FailureKind.STORE:
        return retry
    refresh = refresh_due(tokens, policy, record.spread) if tokens is not None and refreshable else None
    return min((moment for moment in (retry, refresh) if moment is not None), default=None)  # not the store


def may_refresh(record: Record, bound_to: str) -> bool:
    """Whether there is a refresh token, and it is bound to where it would be sent."""
    tokens = record.tokens
    return tokens is not None and tokens.refresh_token is not None and tokens.bound_to == bound_to


def is_from_the_future(record: Record, now: datetime) -> bool:
    """Whether the clock was set back since the last event: times planned with it are then invalid."""
    failure, tokens = record.failure, record.tokens
    if failure is not None and (tokens is None or failure.kind is not FailureKind.STORE):
        return failure.at > now + CLOCK_TOLERANCE
    return tokens is not None and tokens.received_at > now + CLOCK_TOLERANCE


def health_changes_at(record: Record, now: datetime) -> datetime | None:
    """When time alone will next change the health: at expiry, or when the sign-in is about to end.

    Or when tokens that a wrong clock dated ahead are from the future no more.
    """
    tokens = record.tokens
    if tokens is None:
        return None
    moments = [tokens.expires_at]
    if tokens.received_at > now + CLOCK_TOLERANCE:
        moments.append(tokens.received_at - CLOCK_TOLERANCE)
    if tokens.sign_in_ends_at is not None:
        moments.append(tokens.sign_in_ends_at - ENDING_WITHIN)
    return min((moment for moment in moments if moment > now), default=None)


def _planned_life(tokens: TokenSet) -> timedelta:
    return max(tokens.lifetime, SHORTEST_PLANNED_LIFE)
