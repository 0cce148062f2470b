"""Hands out a valid access token of an account, refreshed first if need be."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

from tray_app.core.account import Account, RetryPolicy
from tray_app.core.ports import Clock
from tray_app.core.provider_errors import Failure, FailureKind
from tray_app.core.record import Record
from tray_app.core.schedule import may_refresh
from tray_app.core.tokens import TokenSet
from tray_app.engine.no_token import no_token

PATIENCE = timedelta(seconds=5)
"""How long a caller is kept waiting before a provider that has just failed is asked once more."""
CALM = timedelta(seconds=30)
"""Minimum pause after a 429 without Retry-After."""
TRIES = 2
"""The second is for a network that has just come and cuts off what goes out first."""


class Refreshable(Protocol):
    """What is asked of an account's refresher here."""

    @property
    def account(self) -> Account:
        """Its configuration."""

    @property
    def retry(self) -> RetryPolicy:
        """How long to wait after a failure."""

    @property
    def record(self) -> Record:
        """Its tokens and its last failure."""

    @property
    def busy(self) -> bool:
        """Whether a refresh is under way."""

    def due(self) -> datetime | None:
        """When the next refresh is due."""

    async def attend(self) -> None:
        """Does what is due, if anything."""

    async def attempt(self, *, forced: bool) -> None:
        """Refreshes, or joins the refresh under way."""


async def token_of(refresher: Refreshable, clock: Clock, min_ttl: timedelta, *, wait: bool) -> TokenSet:
    """A valid access token with at least `min_ttl` left; with `wait`, after a refresh if one is needed.

    Raises `SignInNeeded`, `Unavailable`, `Misconfigured` or `StoreUnavailable`; never returns an expired one.
    """
    if wait:
        await _freshened(refresher, clock, min_ttl)
    tokens = refresher.record.tokens
    if tokens is None or not _has(refresher, clock, min_ttl):
        raise no_token(refresher.account, refresher.record, clock.now())
    return tokens


def at_hand(refresher: Refreshable, clock: Clock) -> TokenSet | None:
    """What `token_of` would return; None where it would have to wait."""
    due = refresher.due()
    if (due is not None and due <= clock.now()) or not _has(refresher, clock, timedelta(0)):
        return None
    return refresher.record.tokens


async def _freshened(refresher: Refreshable, clock: Clock, min_ttl: timedelta) -> None:
    if refresher.busy and not _has(refresher, clock, min_ttl):
        await refresher.attempt(forced=False)  # joins what is under way
    await refresher.attend()
    if not _has(refresher, clock, min_ttl) and _worth_refreshing(refresher, clock, min_ttl):
        await refresher.attempt(forced=True)
    for _ in range(TRIES):
        failure = refresher.record.failure
        if failure is not None and not _has(refresher, clock, timedelta(0)):
            await _try_again(refresher, clock, failure)


async def _try_again(refresher: Refreshable, clock: Clock, failure: Failure) -> None:
    """One more attempt for a caller that waits: what failed may work again long before its retry is due.

    However many callers wait, a provider is not asked more often than every `retry.first`.
    """
    wait = failure.at + refresher.retry.first - clock.now()
    if failure.kind is FailureKind.STORE and refresher.record.tokens is None and wait <= timedelta(0):
        await refresher.attempt(forced=False)
    elif failure.kind in {FailureKind.UNREACHABLE, FailureKind.UNTRUSTED} and wait <= PATIENCE:
        await asyncio.sleep(max(0.0, wait.total_seconds()))
        if refresher.record.failure == failure:
            await refresher.attempt(forced=True)
    elif failure.kind is FailureKind.THROTTLED and (failure.not_before or failure.at + CALM) <= clock.now():
        await refresher.attempt(forced=True)


def _has(refresher: Refreshable, clock: Clock, min_ttl: timedelta) -> bool:
    tokens = refresher.record.tokens
    if tokens is None or tokens.bound_to != refresher.account.bound_to:
        return False
    left = tokens.valid_for(clock.now())
    return left > timedelta(0) and left >= min_ttl


def _worth_refreshing(refresher: Refreshable, clock: Clock, min_ttl: timedelta) -> bool:
    tokens, failure = refresher.record.tokens, refresher.record.failure
    if tokens is None or not may_refresh(refresher.record, refresher.account.bound_to):
        return False
    if failure is not None and failure.kind is not FailureKind.STORE:
        return False  # it was just tried, or is being retried: asking more often helps nobody
    return min_ttl <= tokens.lifetime or tokens.valid_for(clock.now()) <= timedelta(0)
