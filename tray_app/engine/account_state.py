"""What is known of one account: its record, kept in step with the store, the facts on disk and the log.

Nothing is asked of a provider here; that is the keeper's.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tray_app.base.log import LOG
from tray_app.core import record as change
from tray_app.core.account import Account, RetryPolicy
from tray_app.core.errors import StoreUnavailable
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.health import Health, health_of, is_turned_away
from tray_app.core.message import msg
from tray_app.core.ports import Dependencies
from tray_app.core.record import Record
from tray_app.core.record_json import is_signed_in, record_with
from tray_app.core.schedule import next_due, retry_due
from tray_app.core.status import AccountStatus, status_of
from tray_app.core.tokens import TokenSet
from tray_app.engine.account_notes import AccountNotes, log_change


class AccountState:
    """One account's record, at hand and at rest. Belongs to the event loop's thread."""

    def __init__(self, account: Account, parts: Dependencies, retry: RetryPolicy, changed: Callable[[], None]) -> None:
        self.account = account
        self.retry = retry
        self.record = Record()
        self._dependencies = parts
        self._changed = changed
        self._configured_at = parts.clock.now()
        self._not_before: datetime | None = None
        self._grant: object = None
        """The sign-in that the tokens at hand came from, as it is noted."""
        self._claims = False
        """Whether it is this process that has the newest tokens, since the store refuses them."""
        self._logged: Health | None = None
        self.notes = AccountNotes(account.name, parts.facts)
        # What was found last, and of what: a thousand accounts are looked at twice a minute, and few have changed.
        self._status_of: tuple[object, ...] = ()
        self._due_of: tuple[object, ...] = ()
        self._status: AccountStatus
        self._due: datetime | None

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

    @property
    def is_turned_away(self) -> bool:
        """Whether the person should be offered a sign-in although it is still retried (contract, section 5)."""
        return is_turned_away(self.record, self._now())

    def set_back(self, by: timedelta) -> None:
        """The clock has gone back by so much: nothing that is known here lives longer by it."""
        self._not_before = self._not_before and self._not_before - by
        self._become(change.set_back(self.record, by))

    def log(self) -> None:
        """Writes into the log how the account is. A command that only reads what is stored has nothing to log."""
        self._logged = log_change(self.account, Record(), self.record, self._now(), self._logged)

    async def load(self) -> StoreUnavailable | None:
        """Reads what was stored: at the start, and again while the store could not say. Returns why it could not."""
        facts = self.notes.facts()
        try:
            tokens = await self._dependencies.store.load(self.account.name)
        except StoreUnavailable as error:
            failure = self.record.failure
            if failure is not None and failure.kind is FailureKind.STORE:
                self._store_failed(self.record, error)
            elif failure is None or self.record.tokens is None:  # else why there is no new token is the better reason
                self._store_failed(self._known(self.record.tokens, facts), error)
            return error
        if tokens is not None or not is_signed_in(facts):
            self._grant = facts.get("grant")
        if tokens is None and self.record.tokens is not None and is_signed_in(facts):
            what = msg(
                "{name}: the store has lost the tokens", name=self.account.name
            )  # or another, empty one was found in its place
            self._store_failed(self.record, StoreUnavailable(what, msg("They are written again")), unsaved=True)
        else:
            self._become(self._known(tokens, facts), note=False)
        return None

    async def _save_again(self) -> None:
        tokens = self.record.tokens
        if tokens is None:
            return
        if self._is_over(self.notes.facts()):
            await self.load()  # what a person has done elsewhere since is newer than what was kept here
            return
        try:
            await self._dependencies.store.save(self.account.name, tokens)
        except StoreUnavailable as error:
            failure, retry_at = self.record.failure, self.record.retry_at
            if failure is None or failure.kind is FailureKind.STORE or retry_at is None:
                self._store_failed(self.record, error, unsaved=True)
            else:  # why the provider is not asked is the better known of the two reasons
                self._not_before = min(retry_at, self._now() + self.retry.limit)
        else:
            self._become(change.stored(self.record))

    def _store_failed(self, record: Record, error: StoreUnavailable, *, unsaved: bool = False) -> None:
        failure = Failure(FailureKind.STORE, error.sentence, self._now(), error.reason)
        retry_at = self._retry_at(record, failure) or self._now()
        told = change.unstored if unsaved else change.failed
        self._become(told(record, failure, retry_at), note=unsaved)  # a read that failed is nothing to remember

    def _known(self, tokens: TokenSet | None, facts: dict[str, Any]) -> Record:
        return record_with(self.record, tokens, facts, self._dependencies.draw())

    def _now(self) -> datetime:
        return self._dependencies.clock.now()

    def _retry_at(self, record: Record, failure: Failure) -> datetime | None:
        return retry_due(failure, change.attempts_with(record, failure), self.retry, self._dependencies.draw())

    def _become(self, record: Record, *, note: bool = True) -> None:
        before, self.record = self.record, record
        if record is before and not note:
            return  # what was read again is no news
        if record.unsaved is not before.unsaved:
            self._claim(newer=record.unsaved)
        if note:
            self.notes.note(record)
        if before.revision:  # else it was read for the first time, and nothing has changed
            self._logged = log_change(self.account, before, record, self._now(), self._logged)
        self._changed()

    def _is_over(self, facts: dict[str, Any]) -> bool:
        """Whether another process was told of a sign-in or a sign-out since the tokens at hand came."""
        grant = facts.get("grant")  # whatever a person has written there
        return grant is not None and grant != self._grant

    def _claim(self, *, newer: bool) -> None:
        try:
            self._claims = self._dependencies.lock.claim(self.account.name, newer=newer)
        except StoreUnavailable as error:  # a full disk: the others then find out when the provider refuses
            self._claims = newer
            LOG.warning("%s: other processes cannot be told of the newest tokens: %s", self.account.name, error.what)


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether these are the very same objects: to compare what they hold would cost what is to be saved."""
    return len(one) == len(other) and all(map(operator.is_, one, other))
