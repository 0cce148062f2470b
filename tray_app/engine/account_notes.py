"""What is written about an account beside its tokens: its facts on disk, and a line in the log at each change."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tray_app.base.log import LOG
from tray_app.core.account import Account
from tray_app.core.failure import FailureKind, configuration_remedy
from tray_app.core.health import Health, health_of
from tray_app.core.phrasing import clock_time
from tray_app.core.ports import Facts
from tray_app.core.record import Record
from tray_app.core.record_json import facts_of, moment_in
from tray_app.core.schedule import next_due
from tray_app.core.tokens import TokenSet

KEPT: Final = ("later_until", "warned_of", "grant")
"""What the person was shown, has answered or has done; no refresh changes it."""


class AccountNotes:
    """One account's facts."""

    def __init__(self, name: str, facts: Facts) -> None:
        self._name = name
        self._facts = facts

    def facts(self) -> dict[str, Any]:
        """What was noted last."""
        return self._facts.load(self._name)

    def note(self, record: Record, refreshing: TokenSet | None = None) -> bool:
        """Writes the record's facts; says whether an earlier refresh of the tokens `refreshing` never ended.

        The note of a refresh under way stays until the store has the new tokens, or the provider has refused: a
        process that finds it at its start knows that the last one died in between.
        """
        old = self.facts()
        begun = refreshing.received_at.isoformat() if refreshing is not None else None
        unfinished = old.get("refreshing") if record.failure and record.failure.kind is FailureKind.STORE else None
        kept = {key: old[key] for key in KEPT if old.get(key) is not None}
        new = facts_of(record) | kept | {"refreshing": begun or unfinished}
        if new != old:
            self._facts.save(self._name, new)
        return begun is not None and old.get("refreshing") == begun

    def begin(self, at: datetime) -> str:
        """Notes a sign-in and returns its name: a process with tokens of another one learns that those have ended."""
        grant = f"begun {at.isoformat()}"
        self._facts.save(self._name, self.facts() | {"grant": grant})
        return grant

    def end(self, at: datetime, *, tell: bool) -> str | None:
        """Forgets the account; with `tell` notes the sign-out for another process that has tokens of it."""
        self._facts.erase(self._name)
        if not tell:
            return None
        grant = f"ended {at.isoformat()}"
        self._facts.save(self._name, {"grant": grant})
        return grant

    def is_news(self, key: str, value: str) -> bool:
        """Whether this was not noted yet; notes it."""
        facts = self.facts()
        if facts.get(key) == value:
            return False
        self._facts.save(self._name, facts | {key: value})
        return True

    def forget(self, key: str) -> bool:
        """Whether this was noted; removes it."""
        facts = self.facts()
        was_noted = facts.pop(key, None) is not None
        if was_noted:
            self._facts.save(self._name, facts)
        return was_noted

    @property
    def later_until(self) -> datetime | None:
        """Until when the person wants no notification about this account; kept over a restart."""
        return moment_in(self.facts(), "later_until")

    def put_off(self, until: datetime | None) -> None:
        """Notes until when; None: no longer."""
        facts = self.facts()
        if facts or until:
            self._facts.save(self._name, facts | {"later_until": until and until.isoformat()})


def log_change(account: Account, before: Record, after: Record, now: datetime, logged: Health | None) -> Health:
    """One line per change of state: account, cause, and what happens next.

    Returns the health at `now`, to be handed in as `logged` the next time: a line may come of it alone.
    """
    health = health_of(after, account.bound_to, now)
    failure = after.failure
    last = before.failure
    again = failure is not None and last is not None and (failure.kind, failure.message) == (last.kind, last.message)
    if again and logged in {None, health}:
        return health  # the first line has said that it is retried
    if failure is not None:
        then = (
            f"trying again at {clock_time(after.retry_at)}" if after.retry_at else f"lamplighter login {account.name}"
        )
        if health is Health.SIGN_IN_NEEDED and failure.kind is FailureKind.MISCONFIGURED:
            then = configuration_remedy(account.name, failure, f"lamplighter refresh {account.name}")
        LOG.warning("%s: %s, attempt %d: %s; %s", account.name, health, after.attempts, failure.message, then)
    elif after.tokens is not None and after.tokens != before.tokens:
        due = next_due(after, account.bound_to, account.policy)
        LOG.info(
            "%s: %s; next refresh at %s", account.name, health, clock_time(due) if due else "no time: no refresh token"
        )
    elif before.tokens is not None and after.tokens is None:
        LOG.info("%s: signed out", account.name)
    return health
