"""One account's life: due, lock, read, refresh, store, tell.

The keeper decides nothing: it asks `core` what to do, does it through a port, and hands the outcome back. The order
under the lock is what keeps a rotated token: read the store again (another process may have refreshed), note the
intent, ask the provider, store the answer, and only then hand it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tray_app.base.log import LOG
from tray_app.core import record as change
from tray_app.core.account import Account, RetryPolicy
from tray_app.core.errors import StoreUnavailable
from tray_app.core.failure import Failure, FailureKind, gave_up
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.ports import Dependencies, ProviderError
from tray_app.core.record import Record
from tray_app.core.record_json import is_overtaken
from tray_app.core.schedule import is_from_the_future, may_refresh, refresh_due
from tray_app.core.tokens import TokenSet, merged, newer
from tray_app.engine.account_state import AccountState
from tray_app.engine.error_mapping import error_of, no_token

SPREAD = timedelta(seconds=1)
"""Within which those who come back at the same moment ask again: half of what the contract gives them (section 5)."""

FORGIVEN = timedelta(minutes=1)
"""Providers that rotate and forgive a lost answer do so for about as long (the usual grace period: 30 to 60 s)."""

COMING_BACK = timedelta(seconds=10)
"""How long an ending waits for a network: what a wireless one needs to join another access point."""


class Refresher(AccountState):
    """Keeps one account fresh. Belongs to the event loop's thread."""

    def __init__(
        self, account: Account, parts: Dependencies, retry: RetryPolicy, changed: Callable[[Refresher], None]
    ) -> None:
        super().__init__(account, parts, retry, lambda: changed(self))
        self._flight: asyncio.Task[None] | None = None
        self._hurried = False
        self._lost: TokenSet | None = None
        """With these the provider was asked, and no answer came."""
        self._soon_at: datetime | None = None
        """When a lost answer last made an attempt come soon."""

    def due(self) -> datetime | None:
        """When this account wants to be looked after next, None while it is being looked after."""
        due = None if self.busy else self.next_due()
        if due is not None and self.record.unsaved and self.record.failure is not None:
            due = min(due, self.record.failure.at + self.retry.limit)  # a provider's wish to wait is not the store's
        if due is not None and is_from_the_future(self.record, self._now()):
            return self._now()
        return max(due, self._not_before) if due and self._not_before else due

    @property
    def busy(self) -> bool:
        """Whether a refresh, or another look at the store, is under way (I5: there is never a second one)."""
        return self._flight is not None and not self._flight.done()

    # -- what can be asked

    async def attempt(self, *, forced: bool) -> None:
        """Does what is due, or with `forced` refreshes at once; whoever comes while that is under way joins it."""
        if not self.busy:
            self._flight = asyncio.create_task(self._attempt(forced=forced), name=f"refresh {self.account.name}")
        if self._flight is not None:
            await asyncio.shield(self._flight)  # whoever asked may go away; a refresh under way is never aborted

    async def attend(self) -> None:
        """Does what is due, if anything: a refresh, a write or a read that the store refused before."""
        due = self.due()
        if due is not None and due <= self._now():
            await self.attempt(forced=False)

    def hurry(self) -> None:
        """The network or the clock has become another one: what failed for want of it is tried again within a second.

        A little later at random: everyone behind the same router gets the network back at the same moment.
        """
        failure = self.record.failure
        if failure is not None and failure.kind in {FailureKind.UNREACHABLE, FailureKind.UNTRUSTED}:
            self._become(change.hurried(self.record, self._now() + self._dependencies.draw() * SPREAD))
        self._hurried = self.busy  # what is under way may fail for want of the network that was there before

    async def refresh(self, rejected: Callable[[TokenSet], bool] | None = None) -> None:
        """Refreshes now. With `rejected`, only if that says so of the current tokens.

        Raises `SignInNeeded`, `Unavailable`, `Misconfigured` or `StoreUnavailable` where there is then no new token.
        """
        tokens = self.record.tokens
        if rejected is not None and tokens is not None and not rejected(tokens):
            return
        self._refuse_too_early()
        await self.attempt(forced=True)
        failure = self.record.failure
        if self.health is Health.SIGNED_OUT:
            raise no_token(self.account, self.record, self._now())
        if failure is not None and (failure.kind is not FailureKind.STORE or self.record.tokens == tokens):
            raise error_of(self.account.name, failure, self.record.retry_at)

    def configure(self, account: Account, retry: RetryPolicy, *, anew: bool = False) -> None:
        """Takes up a changed configuration; a provider that refused the one before is asked again at once.

        `anew`: what has changed is not in the file, but a client secret.
        """
        self.retry = retry
        if account == self.account and not anew:
            return
        before, self.account, self._configured_at = self.health, account, self._now()
        failure = self.record.failure
        if failure is not None and failure.kind is FailureKind.MISCONFIGURED:
            self._become(replace(self.record, attempts=0, retry_at=self._now(), revision=self.record.revision + 1))
        elif self.health is not before:
            LOG.info("%s: %s, since its configuration was changed", account.name, self.health)
        self._changed()

    async def signed_in(self, tokens: TokenSet) -> None:
        """Keeps the tokens of a sign-in. Raises `StoreUnavailable`; the old tokens then remain in force."""
        async with self._dependencies.lock.held(self.account.name):
            await self._dependencies.store.save(self.account.name, tokens)
            self._grant = self.notes.begin(tokens.received_at)
            self._become(change.signed_in(self.record, tokens, self._dependencies.draw()))

    async def sign_out(self) -> str | None:
        """Revokes at the provider where it can, then erases. Says in words what could not be revoked."""
        async with self._dependencies.lock.held(
            self.account.name
        ):  # an open refresh ends first: its tokens are the newest
            unrevoked: str | None = "there was nothing to revoke"
            try:
                tokens = newer(self.record.tokens, await self._dependencies.store.load(self.account.name))
            except StoreUnavailable:
                tokens = self.record.tokens
            if tokens is not None:  # where they belong elsewhere, the provider's answer says so and nothing is sent
                unrevoked = await self._dependencies.provider.revoke(self.account, tokens)
            is_elsewhere = self._dependencies.lock.is_claimed(self.account.name)
            await self._dependencies.store.erase(self.account.name)
            self._grant = self.notes.end(self._now(), tell=is_elsewhere)
            self._become(change.signed_out(self.record), note=False)
        if is_elsewhere:
            return "another process of Lamplighter has newer tokens, and gives them up when it looks again"
        return unrevoked

    async def settle(self, *, for_good: bool = False) -> None:
        """Returns when no refresh is under way any more, and what the store refused before was offered to it again.

        `for_good`: nobody will ask soon again. An answer that was just lost is then asked for once more: a provider
        that forgives takes the old refresh token for about a minute, and the next start may be tomorrow. The network
        that took the answer along may need `COMING_BACK` for its return.
        """
        if self._flight is not None:
            await asyncio.wait({self._flight})
        until = self._now() + COMING_BACK
        while for_good and self._lost is not None and self._lost == self.record.tokens and self._has_just_failed():
            await self.attempt(forced=True)
            failure = self.record.failure
            if failure is None or not failure.offline or not self._now() < until:
                break
            await asyncio.sleep(SPREAD.total_seconds())
        if self.record.unsaved:
            async with self._dependencies.lock.held(self.account.name):
                await self._save_again()
        if self.record.unsaved:
            LOG.error("%s: the newest tokens could not be stored and end with this process", self.account.name)
        if for_good:
            self._claim(newer=False)

    # -- one flight at a time

    async def _attempt(self, *, forced: bool) -> None:
        try:
            async with self._dependencies.lock.held(self.account.name):
                await self._attempt_alone(forced=forced)
        except StoreUnavailable as error:  # no lock can be had: a full disk, a folder of another user
            self._store_failed(self.record, error)
            self._not_before = self.record.retry_at  # or what is due would be tried again at once
        if self._hurried:
            self.hurry()
            self._hurried = False

    async def _attempt_alone(self, *, forced: bool) -> None:
        seen, name = self.record, self.account.name
        if self._dependencies.lock.is_claimed(name):  # then the store has older ones by definition, and is not asked
            what = msg("{name}: another process has newer tokens, which the store refuses", name=name)
            held = StoreUnavailable(what, msg("They are written again"))
            self._store_failed(seen, held, unsaved=seen.unsaved)
            self._not_before = self.record.retry_at  # or what is due would be tried again at once
            return
        unread = None
        if self.record.unsaved and self._claims:
            await self._save_again()
        else:
            unread = await self.load()
        mine = self.record
        if not may_refresh(mine, self.account.bound_to) or mine.tokens is None:
            return
        failure = mine.failure if mine.failure != seen.failure else None
        heard = failure is not None and failure.kind is not FailureKind.STORE
        adopted = seen.tokens is not None and (heard or mine.tokens != seen.tokens)  # another process was quicker
        if not self._is_due(mine) and (adopted or not forced):
            return
        facts = self.notes.facts()
        if unread is not None and (
            is_overtaken(seen, facts)
            or self._is_over(facts)
            or (mine.tokens != self._lost and not self._dependencies.lock.lead())
        ):  # only the store has what may be sent, or who will live longer than this process sends it
            self._store_failed(mine, unread)
            self._not_before = self.record.retry_at
            return
        await self._ask_provider(mine.tokens)

    def _is_due(self, record: Record) -> bool:
        if is_from_the_future(record, self._now()):
            return True
        failure = record.failure
        if failure is not None and failure.kind is not FailureKind.STORE:
            return record.retry_at is not None and record.retry_at <= self._now()
        return (
            record.tokens is not None and refresh_due(record.tokens, self.account.policy, record.spread) <= self._now()
        )

    async def _ask_provider(self, tokens: TokenSet) -> None:
        account = self.account  # the configuration may change it meanwhile; the answer belongs to whom it came from
        interrupted = self.notes.note(self.record, refreshing=tokens)
        try:
            answer = await self._dependencies.provider.refresh(account, tokens)
        except ProviderError as error:
            lost = error.answer_lost or gave_up(error.failure, self.record.failure)
            first = self._lost != tokens and not interrupted
            self._lost = tokens if lost else self._lost
            await self._failed(error.failure, tokens, interrupted=interrupted, lost=lost, anew=lost and first)
            if (error.answer_lost or interrupted) and self.record.tokens == tokens:
                self.notes.note(self.record, refreshing=tokens)  # what was lost may have been the new refresh token
            elif error.failure.kind is FailureKind.STORE:
                self.notes.forget("refreshing")  # without the client's secret nothing was sent
            return
        fresh = merged(tokens, answer, requested_scopes=account.scopes, bound_to=tokens.bound_to)
        refreshed = change.refreshed(self.record, fresh, self._now(), self._dependencies.draw())
        try:
            await self._dependencies.store.save(self.account.name, fresh)
        except StoreUnavailable as error:
            self._store_failed(refreshed, error, unsaved=True)
            return
        self._become(refreshed)

    async def _failed(self, failure: Failure, tokens: TokenSet, *, interrupted: bool, lost: bool, anew: bool) -> None:
        """`lost`: however often it has failed before, the next attempt comes soon, if it is the first such in a minute.

        Who rotates and forgives takes the old token again for about that long. `anew`: the attempts after that, too.
        """
        if failure.kind is FailureKind.REFUSED:
            try:
                stored = await self._dependencies.store.load(self.account.name)
            except StoreUnavailable as error:  # there may be newer ones: what cannot be read is not erased
                self._store_failed(self.record, error)
                self._not_before = self.record.retry_at
                return
            if stored is not None and stored.refresh_token != tokens.refresh_token:  # someone was quicker
                self._become(change.refreshed(self.record, stored, self._now(), self._dependencies.draw()))
                return
            if interrupted:
                failure = replace(
                    failure,
                    kind=FailureKind.INTERRUPTED,
                    message=msg(
                        "{failure}; an earlier refresh was cut off, and its new token was lost", failure=failure.message
                    ),
                )
        before = replace(self.record, attempts=0) if anew else self.record
        retry_at = self._retry_at(before, failure)
        if lost and retry_at is not None and (self._soon_at is None or abs(failure.at - self._soon_at) > FORGIVEN):
            self._soon_at = failure.at
            retry_at = min(retry_at, failure.at + self.retry.first * (1 + self._dependencies.draw()))
        record = change.failed(before, failure, retry_at)
        self._become(record)  # noted before they are erased: a death in between must not look like a sign-out
        if record.tokens is None:
            try:
                await self._dependencies.store.erase(self.account.name)
            except StoreUnavailable as error:
                LOG.warning("%s: the refused tokens could not be erased: %s", self.account.name, error.what)

    def _has_just_failed(self) -> bool:
        failure = self.record.failure
        return failure is not None and failure.not_before is None and self._now() - failure.at < FORGIVEN

    def _refuse_too_early(self) -> None:
        failure = self.record.failure
        if failure is not None and failure.not_before is not None and failure.not_before > self._now():
            raise error_of(self.account.name, failure, self.record.retry_at)
