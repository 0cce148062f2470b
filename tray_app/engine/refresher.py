"""Keeps one account's tokens fresh: lock, read the store, refresh, store.

The refresher decides nothing: it asks `core` what to do, does it through a port, and keeps the outcome in the account's
state. The order under the lock is what saves a rotated token: read the store again (another process may have
refreshed), note the intent, ask the provider, store the answer, and only then hand it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tray_app.base.log import LOG
from tray_app.core import record as change
from tray_app.core.account import Account, RetryPolicy
from tray_app.core.client_secret import bound_secret
from tray_app.core.errors import SignInNeeded, StoreUnavailable
from tray_app.core.health import Health, is_turned_away
from tray_app.core.message import msg
from tray_app.core.ports import Dependencies, ProviderError
from tray_app.core.provider_errors import Failure, FailureKind, gave_up
from tray_app.core.record import Record
from tray_app.core.record_json import is_overtaken
from tray_app.core.schedule import health_changes_at, is_from_the_future, may_refresh, refresh_due
from tray_app.core.status import AccountStatus
from tray_app.core.tokens import Secret, TokenSet, merged, newer
from tray_app.engine.account_state import AccountState
from tray_app.engine.get_token import at_hand, token_of
from tray_app.engine.no_token import error_of, no_token

SPREAD = timedelta(seconds=1)
"""Retries after an outage are spread over this time: half of what .github/CONTRACT.md allows (section 5)."""

FORGIVEN = timedelta(minutes=1)
"""Providers that rotate and forgive a lost answer do so for about as long (the usual grace period: 30 to 60 s)."""

COMING_BACK = timedelta(seconds=10)
"""How long the end of the process waits for a network: what a wireless one needs to join another access point."""


class Refresher:
    """Keeps one account fresh. Belongs to the event loop's thread."""

    needs_network = True

    def __init__(
        self, account: Account, dependencies: Dependencies, retry: RetryPolicy, changed: Callable[[Refresher], None]
    ) -> None:
        self.state = AccountState(account, dependencies, retry, lambda: changed(self))
        self.notes = self.state.notes
        self._store = dependencies.store
        self._provider = dependencies.provider
        self._lock = dependencies.lock
        self._clock = dependencies.clock
        self._draw = dependencies.draw
        self._flight: asyncio.Task[None] | None = None
        self._hurried = False
        self._lost: TokenSet | None = None
        """The provider was asked with these, and no answer came."""
        self._soon_at: datetime | None = None
        """When a lost answer last brought an attempt forward."""

    # -- reading it

    @property
    def account(self) -> Account:
        """Its configuration."""
        return self.state.account

    @property
    def retry(self) -> RetryPolicy:
        """How long to wait after a failure."""
        return self.state.retry

    @property
    def record(self) -> Record:
        """Its tokens and its last failure."""
        return self.state.record

    @property
    def health(self) -> Health:
        """Its health now."""
        return self.state.health

    def status(self) -> AccountStatus:
        """The account as it is now."""
        return self.state.status()

    @property
    def unsaved(self) -> Failure | None:
        """Why the newest tokens are not in the store; None where they are."""
        return self.record.failure if self.record.unsaved else None

    @property
    def is_turned_away(self) -> bool:
        """Whether to offer a sign-in although refreshing is still retried (.github/CONTRACT.md, section 5)."""
        return is_turned_away(self.record, self._clock.now())

    @property
    def sign_in_lasts(self) -> timedelta | None:
        """How long the sign-in was to last when its tokens came; None where the provider did not say."""
        tokens = self.record.tokens
        return tokens.sign_in_ends_at - tokens.received_at if tokens and tokens.sign_in_ends_at else None

    # -- its life

    async def load(self) -> StoreUnavailable | None:
        """Reads the store. Returns why it could not be read."""
        return await self.state.load()

    def start(self) -> None:
        """Logs how the account is."""
        self.state.log()

    def configure(self, account: Account, retry: RetryPolicy) -> None:
        """Takes over a changed configuration; a provider that refused the previous one is asked again at once."""
        self.state.configure(account, retry)

    async def settle(self, *, for_good: bool = False) -> None:
        """Returns when no refresh is under way any more, and the store was offered again what it had refused.

        `for_good`: the process ends. An answer that was just lost is then asked for once more: a forgiving provider
        takes the old refresh token for about a minute, and the next start may be tomorrow. The network that lost the
        answer may need `COMING_BACK` to return.
        """
        if self._flight is not None:
            await asyncio.wait({self._flight})
        until = self._clock.now() + COMING_BACK
        while for_good and self._lost is not None and self._lost == self.record.tokens and self._has_just_failed():
            await self.attempt(forced=True)
            failure = self.record.failure
            if failure is None or not failure.offline or not self._clock.now() < until:
                break
            await asyncio.sleep(SPREAD.total_seconds())
        if self.record.unsaved:
            async with self._lock.held(self.account.name):
                await self.state.save_again()
        if self.record.unsaved:
            LOG.error("%s: the newest tokens could not be stored and end with this process", self.account.name)
        if for_good:
            self.state.disown()

    # -- what is due

    def due(self) -> datetime | None:
        """When the next refresh is due; None while one is running."""
        due = None if self.busy else self.state.next_due()
        if due is not None and self.record.unsaved and self.record.failure is not None:
            due = min(due, self.record.failure.at + self.retry.limit)  # a provider's wish to wait is not the store's
        if due is not None and is_from_the_future(self.record, self._clock.now()):
            return self._clock.now()
        return max(due, self.state.not_before) if due and self.state.not_before else due

    @property
    def busy(self) -> bool:
        """Whether a refresh, or another read of the store, is under way (I5: there is never a second one)."""
        return self._flight is not None and not self._flight.done()

    @property
    def needs_polling(self) -> bool:
        """While a refresh is under way: when the next one is due is only known at its end."""
        return self.busy

    def health_changes_at(self, now: datetime) -> datetime | None:
        """When time alone changes the health next."""
        return health_changes_at(self.record, now)

    async def attend(self) -> None:
        """Does what is due, if anything: a refresh, or a write or a read that the store refused before."""
        due = self.due()
        if due is not None and due <= self._clock.now():
            await self.attempt(forced=False)

    async def attempt(self, *, forced: bool) -> None:
        """Does what is due, or with `forced` refreshes at once; a second caller joins what is under way."""
        if not self.busy:
            self._flight = asyncio.create_task(self._attempt(forced=forced), name=f"refresh {self.account.name}")
        if self._flight is not None:
            await asyncio.shield(self._flight)  # a caller may go away; a refresh under way is never aborted

    def hurry(self) -> None:
        """The network or the clock has changed: what failed for want of it is tried again within a second.

        A little later at random: everyone behind the same router gets the network back at the same moment.
        """
        failure = self.record.failure
        if failure is not None and failure.kind in {FailureKind.UNREACHABLE, FailureKind.UNTRUSTED}:
            self.state.become(change.hurried(self.record, self._clock.now() + self._draw() * SPREAD))
        self._hurried = self.busy  # what is under way may fail for want of the network that was there before

    def set_back(self, by: timedelta) -> None:
        """The clock has gone back by this much: nothing known here may live longer because of it."""
        self.state.set_back(by)

    # -- what can be asked

    async def token(self, min_ttl: timedelta, *, wait: bool) -> TokenSet:
        """A valid access token with at least `min_ttl` left; with `wait`, after a refresh if one is needed.

        Raises `SignInNeeded`, `Unavailable`, `Misconfigured` or `StoreUnavailable`.
        """
        return await token_of(self, self._clock, min_ttl, wait=wait)

    def token_at_hand(self) -> TokenSet | None:
        """A valid access token where nothing is due; None where `token` has to be asked."""
        return at_hand(self, self._clock)

    async def refresh(self, rejected: Callable[[TokenSet], bool] | None = None) -> None:
        """Refreshes now. With `rejected`, only if that says so of the current tokens.

        Raises `SignInNeeded`, `Unavailable`, `Misconfigured` or `StoreUnavailable` where there is then no new token.
        """
        tokens = self.record.tokens
        if tokens is not None and tokens.refresh_token is None:
            what = msg("{name}: there is no refresh token", name=self.account.name)
            raise SignInNeeded(what, msg("Sign in: {command}", command=f"lamplighter login {self.account.name}"))
        if rejected is not None and tokens is not None and not rejected(tokens):
            return
        self._refuse_too_early()
        await self.attempt(forced=True)
        failure = self.record.failure
        if self.health is Health.SIGNED_OUT:
            raise no_token(self.account, self.record, self._clock.now())
        if failure is not None and (failure.kind is not FailureKind.STORE or self.record.tokens == tokens):
            raise error_of(self.account.name, failure, self.record.retry_at)

    async def check(self) -> None:
        """Raises `StoreUnavailable` where the store could not keep the tokens of a sign-in."""
        await self._store.check()

    async def signed_in(self, tokens: TokenSet) -> None:
        """Keeps the tokens of a sign-in. Raises `StoreUnavailable`; the old tokens then remain in force."""
        async with self._lock.held(self.account.name):
            await self._store.save(self.account.name, tokens)
            self.state.signed_in(tokens)

    async def sign_out(self) -> str | None:
        """Revokes at the provider where it can, then erases. Says in words what could not be revoked."""
        name = self.account.name
        async with self._lock.held(name):  # a refresh under way ends first: its tokens are the newest
            unrevoked: str | None = "there was nothing to revoke"
            try:
                tokens = newer(self.record.tokens, await self.state.stored_tokens())
            except StoreUnavailable:
                tokens = self.record.tokens
            if tokens is not None:  # where they belong elsewhere, the provider's answer says so and nothing is sent
                unrevoked = await self._provider.revoke(self.account, tokens)
            is_elsewhere = self._lock.is_claimed(name)
            await self._store.erase(name)
            self.state.signed_out(tell=is_elsewhere)
        if is_elsewhere:
            return "another process of Lamplighter has newer tokens, and gives them up when it looks again"
        return unrevoked

    async def set_client_secret(self, secret: Secret | None) -> None:
        """Keeps the client secret; a provider that refused the previous one is asked at once.

        Raises `StoreUnavailable`.
        """
        kept = None if secret is None else bound_secret(secret, self.account.secret_bound_to)
        await self._store.set_client_secret(self.account.name, kept)
        self.state.configure(self.account, self.retry, anew=True)

    async def forget(self) -> None:
        """Removes the client secret and what was registered for the account. Raises `LamplighterError`."""
        await self._store.set_client_secret(self.account.name, None)
        try:
            await self._provider.forget(self.account)
        except ProviderError as error:
            raise error_of(self.account.name, error.failure, None) from error

    # -- one attempt at a time

    async def _attempt(self, *, forced: bool) -> None:
        try:
            async with self._lock.held(self.account.name):
                await self._attempt_alone(forced=forced)
        except StoreUnavailable as error:  # no lock can be had: a full disk, a folder of another user
            self.state.store_blocks(self.record, error)
        if self._hurried:
            self.hurry()
            self._hurried = False

    async def _attempt_alone(self, *, forced: bool) -> None:
        seen, name = self.record, self.account.name
        if self._lock.is_claimed(name):  # the store then has older ones, and is not read
            what = msg("{name}: another process has newer tokens, which the store refuses", name=name)
            held = StoreUnavailable(what, msg("They are written again"))
            self.state.store_blocks(seen, held, unsaved=seen.unsaved)
            return
        unread = None
        if self.record.unsaved and self.state.owns_newest:
            await self.state.save_again()
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
            or self.state.is_superseded(facts)
            or (mine.tokens != self._lost and not self._lock.lead())
        ):  # the tokens in memory are not the newest, or the leader process refreshes
            self.state.store_blocks(mine, unread)
            return
        await self._ask_provider(mine.tokens)

    def _is_due(self, record: Record) -> bool:
        if is_from_the_future(record, self._clock.now()):
            return True
        failure = record.failure
        if failure is not None and failure.kind is not FailureKind.STORE:
            return record.retry_at is not None and record.retry_at <= self._clock.now()
        return (
            record.tokens is not None
            and refresh_due(record.tokens, self.account.policy, record.spread) <= self._clock.now()
        )

    async def _ask_provider(self, tokens: TokenSet) -> None:
        account = self.account  # the configuration may change meanwhile; the answer belongs to the account that asked
        interrupted = self.notes.note(self.record, refreshing=tokens)
        try:
            answer = await self._provider.refresh(account, tokens)
        except ProviderError as error:
            lost = error.answer_lost or gave_up(error.failure, self.record.failure)
            first = self._lost != tokens and not interrupted
            self._lost = tokens if lost else self._lost
            sent, tokens = tokens, await self._with_new_refresh_token(tokens, error.refresh_token)
            known = {sent.refresh_token, tokens.refresh_token}
            await self._failed(error.failure, known, interrupted=interrupted, lost=lost, anew=lost and first)
            if (error.answer_lost or interrupted) and self.record.tokens == tokens:
                self.notes.note(self.record, refreshing=tokens)  # what was lost may have been the new refresh token
            elif error.failure.kind is FailureKind.STORE:
                self.notes.forget("refreshing")  # without the client's secret nothing was sent
            return
        fresh = merged(tokens, answer, requested_scopes=account.scopes, bound_to=tokens.bound_to)
        refreshed = change.refreshed(self.record, fresh, self._clock.now(), self._draw())
        try:
            await self._store.save(self.account.name, fresh)
        except StoreUnavailable as error:
            self.state.store_failed(refreshed, error, unsaved=True)
            return
        self.state.become(refreshed)

    async def _with_new_refresh_token(self, tokens: TokenSet, new: Secret | None) -> TokenSet:
        """The tokens with the refresh token that came in an answer of no other use, stored: the old one is spent."""
        if new is None or new == tokens.refresh_token:
            return tokens
        tokens = replace(tokens, refresh_token=new)
        record = change.refresh_token_replaced(self.record, tokens)
        try:
            await self._store.save(self.account.name, tokens)
        except StoreUnavailable as error:
            self.state.store_failed(record, error, unsaved=True)
        else:
            self.state.become(record)
        return tokens

    async def _failed(
        self, failure: Failure, known: set[Secret | None], *, interrupted: bool, lost: bool, anew: bool
    ) -> None:
        """`known`: the refresh token that was sent, and the one that came; any other in the store is newer.

        `lost`: however often it has failed before, the next attempt comes soon, once a minute at most.

        A rotating provider that forgives accepts the old token for about that long. `anew`: the back-off starts over.
        """
        if failure.kind is FailureKind.REFUSED:
            try:
                stored = await self.state.stored_tokens()
            except StoreUnavailable as error:  # there may be newer ones: what cannot be read is not erased
                self.state.store_blocks(self.record, error)
                return
            if stored is not None and stored.refresh_token not in known:  # another process was quicker
                self.state.become(change.refreshed(self.record, stored, self._clock.now(), self._draw()))
                return
            if interrupted and failure.ends_sign_in:
                failure = replace(
                    failure,
                    kind=FailureKind.INTERRUPTED,
                    message=msg(
                        "{failure}; an earlier refresh was cut off, and its new token was lost", failure=failure.message
                    ),
                )
        before = replace(self.record, attempts=0) if anew else self.record
        retry_at = self.state.retry_at(before, failure)
        if lost and retry_at is not None and (self._soon_at is None or abs(failure.at - self._soon_at) > FORGIVEN):
            self._soon_at = failure.at
            retry_at = min(retry_at, failure.at + self.retry.first * (1 + self._draw()))
        record = change.failed(before, failure, retry_at)
        self.state.become(record)  # noted before they are erased: a death in between must not look like a sign-out
        if record.tokens is None:
            try:
                await self._store.erase(self.account.name)
            except StoreUnavailable as error:
                LOG.warning("%s: the refused tokens could not be erased: %s", self.account.name, error.what)

    def _has_just_failed(self) -> bool:
        failure = self.record.failure
        return failure is not None and failure.not_before is None and self._clock.now() - failure.at < FORGIVEN

    def _refuse_too_early(self) -> None:
        failure = self.record.failure
        if failure is not None and failure.not_before is not None and failure.not_before > self._clock.now():
            raise error_of(self.account.name, failure, self.record.retry_at)
