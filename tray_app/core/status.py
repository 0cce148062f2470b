"""An account's status: the JSON of .github/CONTRACT.md, section 8, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tray_app.core.account import Account
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.health import Health, health_of
from tray_app.core.message import msg
from tray_app.core.record import Record
from tray_app.core.schedule import next_due


def rfc3339(moment: datetime | None) -> str | None:
    """The moment in UTC with a Z, to the second (RFC 3339); None stays None."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One account at one moment; holds no secret."""

    name: str
    health: Health
    expires_at: datetime | None = None
    refresh_due_at: datetime | None = None
    last_refresh_at: datetime | None = None
    sign_in_ends_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    subject: str | None = None
    failure: Failure | None = None
    attempts: int = 0
    provider: str | None = None
    """The preset that the account names; not part of the JSON in .github/CONTRACT.md."""

    def as_json(self) -> dict[str, Any]:
        """The object of `status --json` (.github/CONTRACT.md, section 8)."""
        error = self.failure and {
            "kind": str(self.failure.kind),
            "message": self.failure.message,
            "at": rfc3339(self.failure.at),
            "attempts": self.attempts,
        }
        return {
            "name": self.name,
            "health": str(self.health),
            "expires_at": rfc3339(self.expires_at),
            "refresh_due_at": rfc3339(self.refresh_due_at),
            "last_refresh_at": rfc3339(self.last_refresh_at),
            "sign_in_ends_at": rfc3339(self.sign_in_ends_at),
            "scopes": list(self.scopes),
            "subject": self.subject,
            "last_error": error,
        }


def status_of(account: Account, record: Record, now: datetime, configured_at: datetime) -> AccountStatus:
    """The account's status at `now`. Tokens that are bound elsewhere count as absent.

    `configured_at` is when this configuration was taken up.
    """
    health = health_of(record, account.bound_to, now)
    tokens = record.tokens
    if tokens is not None and tokens.bound_to != account.bound_to:
        message = msg(
            "{name}: the issuer, token endpoint or client id was changed since the sign-in", name=account.name
        )
        moved = Failure(FailureKind.MISCONFIGURED, message, configured_at)
        return AccountStatus(account.name, health, failure=moved, attempts=1, provider=account.provider)
    return AccountStatus(
        name=account.name,
        health=health,
        expires_at=tokens.expires_at if tokens else None,
        refresh_due_at=next_due(record, account.bound_to, account.policy),
        last_refresh_at=record.last_refresh_at,
        sign_in_ends_at=tokens.sign_in_ends_at if tokens else None,
        scopes=tokens.scopes if tokens else (),
        subject=tokens.subject if tokens else None,
        failure=record.failure,
        attempts=record.attempts,
        provider=account.provider,
    )
