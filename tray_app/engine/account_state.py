"""What is known of one account: its record, kept in step with the store, the facts on disk and the log.

Nothing here asks a provider; that is the refresher's task.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tray_app.base.log import LOG
from tray_app.core import record as change
from tray_app.core.account import Account, RetryPolicy
from tray_app.core.errors import StoreUnavailable
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.health import Health, health_of
from tray_app.core.message import msg
from tray_app.core.ports import Dependencies
from tray_app.core.record import Record
from tray_app.core.record_json import is_signed_in, record_with
from tray_app.core.schedule import next_due, retry_due
from tray_app.core.status import AccountStatus, status_of
from tray_app.core.tokens import TokenSet
from tray_app.engine.account_notes import AccountNotes, log_change


class AccountState:
    """One account's record, in memory and in the store. Belongs to the event loop's thread."""

    def __init__(
        self, account: Account, dependencies: Dependencies, retry: RetryPolicy, changed: Callable[[], None]
    ) -> None:
        self.account = account
        self.retry = retry
        self.record = Record()
        self.notes = AccountNotes(account.name, dependencies.facts)
        self.not_before: datetime | None = None
        """Nothing is tried before this moment; None: the record alone says when."""
        self.owns_newest = False
        """Whether this process has the newest tokens, since the store refuses them."""
        self._dependencies = dependencies
        self._changed = changed
        self._configured_at = dependencies.clock.now()
        self._grant: object = None
        """The sign-in that the tokens in memory came from, as the facts name it."""
        self._logged: Health | None = None
        # The last results and what they were computed from: a thousand accounts are looked at twice a minute, and few
        # have changed.
        self._status_of: tuple[object, ...] = ()
        self._due_of: tuple[object, ...] = ()
        self._status: AccountStatus
        self._due: datetime | None

    # -- reading it

    def status(self) -> AccountStatus:
        """The account as it is now."""
        of = self.record, self.account, self.health
        if not _same(of, self._status_of):
            self._status_of = of
            self._status = status_of(self.account, self.record, self._now(), self._configured_at)
        return self._status

    def next_due(self) -> datetime | None:
        """When something is to be done; the same until the record or the configuration changes."""
        of = self.record, self.account
        if not _same(of, self._due_of):
            self._due_of = of
            self._due = next_due(self.record, self.account.bound_to, self.account.policy)
        return self._due

    @property
    def health(self) -> Health:
        """The account's health now."""
        return health_of(self.record, self.account.bound_to, self._now())

    def is_superseded(self, facts: dict[str, Any]) -> bool:
        """Whether another process noted a sign-in or a sign-out after the tokens in memory came."""
        grant = facts.get("grant")  # whatever a person has written there
        return grant is not None and grant != self._grant

    def retry_at(self, record: Record, failure: Failure) -> datetime | None:
        """When to try again after one failure more; None where only a person can help."""
        return retry_due(failure, change.attempts_with(record, failure), self.retry, self._dependencies.draw())

    # -- changing it

    def become(self, record: Record, *, note: bool = True) -> None:
        """Takes over the record; with `note`, also into the facts on disk."""
        before, self.record = self.record, record
        if record is before and not note:
            return  # reading the same again changes nothing
        if record.unsaved is not before.unsaved:
            self._claim(newer=record.unsaved)
        if note:
            self.notes.note(record)
        if before.revision:  # else it was read for the first time, and nothing has changed
            self._logged = log_change(self.account, before, record, self._now(), self._logged)
        self._changed()

    def configure(self, account: Account, retry: RetryPolicy, *, anew: bool = False) -> None:
        """Takes over a changed configuration; a provider that refused the previous one is asked again at once.

        `anew`: the client secret has changed, which is not part of the file.
        """
        self.retry = retry
        if account == self.account and not anew:
            return
        before, self.account, self._configured_at = self.health, account, self._now()
        failure = self.record.failure
        if failure is not None and failure.kind is FailureKind.MISCONFIGURED:
            self.become(replace(self.record, attempts=0, retry_at=self._now(), revision=self.record.revision + 1))
        elif self.health is not before:
            LOG.info("%s: %s, since its configuration was changed", account.name, self.health)
        self._changed()

    def set_back(self, by: timedelta) -> None:
        """The clock has gone back by this much: nothing known here may live longer because of it."""
        self.not_before = self.not_before and self.not_before - by
        self.become(change.set_back(self.record, by))

    def signed_in(self, tokens: TokenSet) -> None:
        """Takes over the tokens of a sign-in, which the store already has."""
        self._grant = self.notes.begin(tokens.received_at)
        self.become(change.signed_in(self.record, tokens, self._dependencies.draw()))

    def signed_out(self, *, tell: bool) -> None:
        """Forgets the account; with `tell`, another process that has its tokens learns of it from the facts."""
        self._grant = self.notes.end(self._now(), tell=tell)
        self.become(change.signed_out(self.record), note=False)

    def log(self) -> None:
        """Logs how the account is. A command that only reads the store logs nothing."""
        self._logged = log_change(self.account, Record(), self.record, self._now(), self._logged)

    # -- the store

    async def load(self) -> StoreUnavailable | None:
        """Reads the store: at the start, and again while it could not be read. Returns why it could not."""
        facts = self.notes.facts()
        try:
            tokens = await self.stored_tokens()
        except StoreUnavailable as error:
            failure = self.record.failure
            if failure is not None and failure.kind is FailureKind.STORE:
                self.store_failed(self.record, error)
            elif failure is None or self.record.tokens is None:  # else why there is no new token is the better reason
                self.store_failed(self._record_with(self.record.tokens, facts), error)
            return error
        if tokens is not None or not is_signed_in(facts):
            self._grant = facts.get("grant")
        if tokens is None and self.record.tokens is not None and is_signed_in(facts):
            what = msg("{name}: the store has lost the tokens", name=self.account.name)  # or is another, empty one
            self.store_failed(self.record, StoreUnavailable(what, msg("They are written again")), unsaved=True)
        else:
            self.become(self._record_with(tokens, facts), note=False)
        return None

    async def stored_tokens(self) -> TokenSet | None:
        """The tokens in the store. Raises `StoreUnavailable`."""
        return self.account.rebound(await self._dependencies.store.load(self.account.name))

    async def save_again(self) -> None:
        """Offers the store once more the tokens that it refused."""
        tokens = self.record.tokens
        if tokens is None:
            return
        if self.is_superseded(self.notes.facts()):
            await self.load()  # a later sign-in or sign-out in another process wins
            return
        try:
            await self._dependencies.store.save(self.account.name, tokens)
        except StoreUnavailable as error:
            failure, retry_at = self.record.failure, self.record.retry_at
            if failure is None or failure.kind is FailureKind.STORE or retry_at is None:
                self.store_failed(self.record, error, unsaved=True)
            else:  # why the provider is not asked is the better known of the two reasons
                self.not_before = min(retry_at, self._now() + self.retry.limit)
        else:
            self.become(change.stored(self.record))

    def store_failed(self, record: Record, error: StoreUnavailable, *, unsaved: bool = False) -> None:
        """Takes over `record` with the store's failure; `unsaved`: its tokens are newer than the store's."""
        failure = Failure(FailureKind.STORE, error.sentence, self._now(), error.reason)
        retry_at = self.retry_at(record, failure) or self._now()
        failed = change.unstored if unsaved else change.failed
        self.become(failed(record, failure, retry_at), note=unsaved)  # a read that failed is not worth a note

    def store_blocks(self, record: Record, error: StoreUnavailable, *, unsaved: bool = False) -> None:
        """As `store_failed`, and nothing is tried before the retry: what is due would be tried again at once."""
        self.store_failed(record, error, unsaved=unsaved)
        self.not_before = self.record.retry_at

    def disown(self) -> None:
        """Tells other processes that this one no longer has newer tokens than the store."""
        self._claim(newer=False)

    def _claim(self, *, newer: bool) -> None:
        try:
            self.owns_newest = self._dependencies.lock.claim(self.account.name, newer=newer)
        except StoreUnavailable as error:  # a full disk: the others then find out when the provider refuses
            self.owns_newest = newer
            LOG.warning("%s: other processes cannot be told of the newest tokens: %s", self.account.name, error.what)

    def _record_with(self, tokens: TokenSet | None, facts: dict[str, Any]) -> Record:
        return record_with(self.record, tokens, facts, self._dependencies.draw())

    def _now(self) -> datetime:
        return self._dependencies.clock.now()


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether these are the very same objects; comparing their values would cost what the cache saves."""
    return len(one) == len(other) and all(map(operator.is_, one, other))
