"""How an account is, derived from facts and the time each time it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from tray_app.core.failure import ENDS_SIGN_IN, FailureKind
from tray_app.core.record import Record
from tray_app.core.schedule import ENDING_WITHIN, MISCONFIGURED_ATTEMPTS

TURNED_AWAY_TIMES = 3
TURNED_AWAY_FOR = timedelta(minutes=10)
"""So often in a row and for so long a provider turns refreshes away before the person is offered a sign-in."""


class Health(StrEnum):
    """The six healths of .github/CONTRACT.md, section 4, from worst to best; `signed-out` stands apart."""

    SIGN_IN_NEEDED = "sign-in-needed"
    EXPIRED = "expired"
    RETRYING = "retrying"
    ENDING = "ending"
    FRESH = "fresh"
    SIGNED_OUT = "signed-out"


_FROM_WORST = list(Health)


def health_of(record: Record, bound_to: str, now: datetime) -> Health:
    """The health of an account at `now`, whose configuration binds its tokens to `bound_to`."""
    tokens, failure = record.tokens, record.failure
    if tokens is None:
        if failure is None:
            return Health.SIGNED_OUT
        return Health.SIGN_IN_NEEDED if failure.ends_sign_in else Health.EXPIRED
    if tokens.bound_to != bound_to:
        return Health.SIGNED_OUT  # they belong elsewhere and are not used (.github/CONTRACT.md, section 3)
    if needs_person(record):
        return Health.SIGN_IN_NEEDED
    if tokens.valid_for(now) <= timedelta(0):
        return Health.EXPIRED if tokens.refresh_token else Health.SIGN_IN_NEEDED
    if failure is not None:
        return Health.RETRYING
    ends_at = tokens.sign_in_ends_at
    if ends_at is not None and ends_at - now <= ENDING_WITHIN:
        return Health.ENDING
    return Health.FRESH


def needs_person(record: Record) -> bool:
    """The provider asks for the person, or has refused the configuration often enough to say so."""
    failure = record.failure
    if failure is None:
        return False
    refuses = failure.kind is FailureKind.MISCONFIGURED and record.attempts >= MISCONFIGURED_ATTEMPTS
    return refuses or failure.kind in ENDS_SIGN_IN


def is_turned_away(record: Record, now: datetime) -> bool:
    """The token has ended and the provider keeps turning the refresh token away without ending the sign-in.

    It is still retried, but a sign-in may help, so the person is offered one (.github/CONTRACT.md, section 5).
    """
    tokens, failure, since = record.tokens, record.failure, record.turned_away_since
    if tokens is None or failure is None or since is None or tokens.valid_for(now) > timedelta(0):
        return False
    return record.turned_away >= TURNED_AWAY_TIMES and failure.at - since >= TURNED_AWAY_FOR


def worst(healths: Iterable[Health]) -> Health:
    """What the icon shows: the worst account; `signed-out` only where every account is, or there is none."""
    return min(healths, key=_FROM_WORST.index, default=Health.SIGNED_OUT)
