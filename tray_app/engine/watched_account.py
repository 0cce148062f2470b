"""An account whose tokens another program keeps: Claude Code's. Lamplighter only follows the dates in its file.

It keeps, sends and hands out no token of it. The file is read when the system reports a change, and at a heartbeat
where it does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from tray_app.base.log import LOG
from tray_app.core.account import Account, RetryPolicy
from tray_app.core.claude_code import Reading, health_at, health_changes_at
from tray_app.core.errors import Misconfigured
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.ports import Dependencies
from tray_app.core.provider_errors import Failure, FailureKind
from tray_app.core.status import AccountStatus
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.account_notes import AccountNotes


class WatchedAccount:
    """One watched account. Belongs to the event loop's thread."""

    needs_network = False
    needs_polling = True  # not every system reports that a file has changed
    unsaved: Failure | None = None
    is_turned_away = False
    sign_in_lasts: timedelta | None = None

    def __init__(self, account: Account, dependencies: Dependencies, changed: Callable[[WatchedAccount], None]) -> None:
        self.account = account
        self.notes = AccountNotes(account.name, dependencies.facts)
        self._open = dependencies.credentials
        self._file = dependencies.credentials(account)
        self._clock = dependencies.clock
        self._changed = changed
        self._reading: Reading | None = None
        self._trouble: Failure | None = None
        self._version: object = None
        self._looked_at = dependencies.clock.now()
        self._logged: Health | None = None

    # -- reading it

    @property
    def health(self) -> Health:
        """The account's health now."""
        if self._reading is None and self._trouble is not None and self._trouble.kind is FailureKind.STORE:
            return Health.EXPIRED  # what cannot be read is not absent
        return health_at(self._reading, self._clock.now())

    def status(self) -> AccountStatus:
        """The account as it is now; no refresh is ever due."""
        return AccountStatus(
            self.account.name,
            self.health,
            expires_at=self._reading.expires_at if self._reading else None,
            sign_in_ends_at=self._reading.sign_in_ends_at if self._reading else None,
            failure=self._trouble,
            attempts=1 if self._trouble else 0,
            provider=self.account.provider,
        )

    # -- its life

    async def load(self) -> None:
        """Reads the file."""
        self._look()

    def start(self) -> None:
        """Follows the file from now on."""
        self._file.watch(self._look)
        self._look()

    def configure(self, account: Account, _retry: RetryPolicy) -> None:
        """Takes over a changed configuration."""
        before, self.account = self._file, account
        found = self._open(account)
        if found.path != before.path:
            before.close()
            self._file, self._reading, self._trouble = found, None, None
            self.start()

    async def settle(self, *, for_good: bool = False) -> None:
        """Nothing is ever under way; with `for_good` the file is no longer followed."""
        if for_good:
            self._file.close()

    # -- what is due

    def due(self) -> datetime | None:
        """Now where the file has changed since it was read, else when time alone changes the health."""
        return self._clock.now() if self._file.version() != self._version else self.health_changes_at(self._looked_at)

    def health_changes_at(self, now: datetime) -> datetime | None:
        """When time alone changes the health next."""
        return health_changes_at(self._reading, now)

    async def attend(self) -> None:
        """Reads the file again."""
        self._look()

    def hurry(self) -> None:
        """Reads the file again: after a change of the clock the same dates may mean another health."""
        self._look()

    def set_back(self, by: timedelta) -> None:
        """The clock has gone back by this much."""
        self._looked_at -= by

    # -- a sign-in, of which we only ever see the file's new date

    async def check(self) -> None:
        """Raises `Misconfigured` where the program that signs in is not installed."""
        await asyncio.to_thread(self._file.check_program)

    async def signed_in(self, _tokens: TokenSet) -> None:
        """Raises `Misconfigured`: the other program keeps its own tokens."""
        raise self._hands_out_none()

    # -- what it cannot do

    async def token(self, _min_ttl: timedelta, *, wait: bool) -> TokenSet:  # noqa: ARG002 - as `ManagedAccount` has it
        """Raises `Misconfigured`: the other program keeps its own tokens."""
        raise self._hands_out_none()

    def token_at_hand(self) -> None:
        """None: `token` says why there is none."""

    async def refresh(self, _rejected: object = None) -> None:
        """Raises `Misconfigured`: the other program refreshes its own token."""
        what = msg("{name}: Claude Code renews its own token", name=self.account.name)
        raise Misconfigured(what, msg("There is nothing to do"))

    async def sign_out(self) -> str | None:
        """Raises `Misconfigured`: only the other program can sign out."""
        raise Misconfigured(
            msg("{name}: Claude Code keeps its own sign-in, which Lamplighter only watches", name=self.account.name),
            msg("Sign out there: {command}", command="claude auth logout"),
        )

    async def set_client_secret(self, _secret: Secret | None) -> None:
        """Raises `Misconfigured`: there is no client of ours."""
        raise self._hands_out_none()

    async def forget(self) -> None:
        """Nothing of it is kept here."""

    def _hands_out_none(self) -> Misconfigured:
        return Misconfigured(
            msg("{name}: Claude Code keeps its own tokens, and Lamplighter hands none out", name=self.account.name),
            msg("Use an account of your own"),
        )

    # -- reading the file

    def _look(self) -> None:
        before = self.status()
        self._looked_at = self._clock.now()
        self._version = self._file.version()  # first: what changes while we read is read again
        try:
            self._reading, self._trouble = self._file.read(), None
        except ValueError:
            return  # half written: the last good reading holds until the rest is there
        except OSError as error:
            what = msg("{path} cannot be read ({reason})", path=self._file.path, reason=error.strerror)
            self._trouble = Failure(FailureKind.STORE, what, self._looked_at)
        if self._reading is None and self._trouble is None and self._file.may_be_in_keychain:
            what = msg("Claude Code keeps its sign-in in the keychain here, which Lamplighter does not read")
            self._trouble = Failure(FailureKind.MISCONFIGURED, what, self._looked_at)
        after = self.status()
        if after.health is not self._logged:
            self._logged = after.health
            LOG.info("%s: %s, says %s", self.account.name, after.health, self._file.path)
        if after != before:
            self._changed(self)
