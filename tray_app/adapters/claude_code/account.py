"""An account that Lamplighter only watches: Claude Code's. It keeps, sends and hands out no token of it.

`Watched` stands in the engine where a keeper stands for other accounts. The file is looked at when the system tells
of a change, and at every heartbeat where it does not.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from tray_app.adapters.claude_code.command import command_of
from tray_app.adapters.claude_code.credentials_file import Stamp, credentials_file, read, stamp
from tray_app.base.log import LOG
from tray_app.core.account import Account, RetryPolicy
from tray_app.core.claude_code import PROVIDER, Reading, health_at, health_changes_at
from tray_app.core.errors import Misconfigured
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.ports import Clock, Facts
from tray_app.core.record import Record
from tray_app.core.status import AccountStatus
from tray_app.core.tokens import TokenSet
from tray_app.engine.account_notes import AccountNotes

if TYPE_CHECKING:
    from tray_app.base.file_watcher import FileWatcher


def is_watched(account: Account) -> bool:
    """Whether another program keeps the account's tokens."""
    return account.provider == PROVIDER


class WatchedAccount:
    """One watched account. Belongs to the event loop's thread."""

    def __init__(self, account: Account, facts: Facts, clock: Clock, changed: Callable[[WatchedAccount], None]) -> None:
        self.account = account
        self.notes = AccountNotes(account.name, facts)
        self.record = Record()
        """Always empty: there are no tokens here."""
        self._clock = clock
        self._changed = changed
        self._reading: Reading | None = None
        self._trouble: Failure | None = None
        self._stamp: Stamp = None
        self._looked_at = clock.now()
        self._watch: FileWatcher | None = None
        self._told: Health | None = None

    # -- what is known

    @property
    def health(self) -> Health:
        """The account's health now."""
        if self._reading is None and self._trouble is not None and self._trouble.kind is FailureKind.STORE:
            return Health.EXPIRED  # what cannot be read is not absent
        return health_at(self._reading, self._clock.now())

    def status(self) -> AccountStatus:
        """The account as it is now. Without a refresh of ours there is none that is due."""
        return AccountStatus(
            self.account.name,
            self.health,
            expires_at=self._reading.expires_at if self._reading else None,
            sign_in_ends_at=self._reading.sign_in_ends_at if self._reading else None,
            failure=self._trouble,
            attempts=1 if self._trouble else 0,
            provider=self.account.provider,
        )

    def due(self) -> datetime | None:
        """At once where the file is another one than was read, else when time alone changes the health."""
        if stamp(credentials_file(self.account)) != self._stamp:
            return self._clock.now()
        return health_changes_at(self._reading, self._looked_at)

    # -- what the engine does with accounts

    async def load(self) -> None:
        """Reads the file, and watches it from now on."""
        self._watch_file()
        self._look()

    async def attend(self) -> None:
        """Reads the file again."""
        self._look()

    def configure(self, account: Account, _retry: RetryPolicy) -> None:
        """Takes up a changed configuration."""
        if account == self.account:
            return
        moved = credentials_file(account) != credentials_file(self.account)
        self.account = account
        if moved:
            self._reading, self._trouble = None, None
            self._watch_file()
            self._look()

    async def settle(self, *, for_good: bool = False) -> None:  # noqa: ARG002 - a keeper's signature
        """Watches no more."""
        if self._watch is not None:
            self._watch.close()

    # -- a sign-in, of which only the file's new date comes back to us

    async def check(self) -> None:
        """Raises `Misconfigured` where there is no program that could sign in."""
        await asyncio.to_thread(command_of, self.account)

    async def signed_in(self, _tokens: TokenSet) -> None:
        """Nothing is kept here."""

    # -- what it cannot do

    async def refresh(self, _rejected: object = None) -> None:
        """Raises `Misconfigured`: that is Claude Code's own affair."""
        what = msg("{name}: Claude Code renews its own token", name=self.account.name)
        raise Misconfigured(what, msg("There is nothing to do"))

    async def sign_out(self) -> str | None:
        """Raises `Misconfigured`: that is Claude Code's own affair."""
        raise Misconfigured(
            msg("{name}: Claude Code keeps its own sign-in, which Lamplighter only watches", name=self.account.name),
            msg("Sign out there: {command}", command="claude auth logout"),
        )

    def hands_out_none(self) -> Misconfigured:
        """What whoever asks for a token is told."""
        return Misconfigured(
            msg("{name}: Claude Code keeps its own tokens, and Lamplighter hands none out", name=self.account.name),
            msg("Use an account of your own"),
        )

    # -- looking

    def _watch_file(self) -> None:
        from tray_app.base.file_watcher import FileWatcher

        if self._watch is not None:
            self._watch.close()
        self._watch = FileWatcher(credentials_file(self.account), self._look)
        self._watch.start(asyncio.get_running_loop())

    def _look(self) -> None:
        path = credentials_file(self.account)
        before = self.status()
        self._looked_at = self._clock.now()
        self._stamp = stamp(path)  # first: what changes while we read is read again
        try:
            self._reading, self._trouble = read(path), None
        except ValueError:
            return  # half written: the last good reading holds until the rest is there
        except OSError as error:
            self._trouble = Failure(
                FailureKind.STORE,
                msg("{path} cannot be read ({reason})", path=path, reason=error.strerror),
                self._looked_at,
            )
        if self._reading is None and self._trouble is None and sys.platform == "darwin":
            message = msg("Claude Code keeps its sign-in in the keychain here, which Lamplighter does not read")
            self._trouble = Failure(FailureKind.MISCONFIGURED, message, self._looked_at)
        after = self.status()
        if after.health is not self._told:
            self._told = after.health
            LOG.info("%s: %s, says %s", self.account.name, after.health, path)
        if after != before:
            self._changed(self)
