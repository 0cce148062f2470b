"""What happens to accounts, as values: the engine publishes them, the interfaces and the history subscribe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tray_app.core.status import AccountStatus


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """An account's status has changed, its health or anything else that `status --json` shows."""

    kind: ClassVar[str] = "health"
    status: AccountStatus

    @property
    def account(self) -> str:
        """The account's name."""
        return self.status.name

    @property
    def reason(self) -> str | None:
        """Why the last refresh failed; None where it did not."""
        return self.status.failure.message if self.status.failure else None

    def as_json(self) -> dict[str, Any]:
        """The data of the server-sent event (.github/CONTRACT.md, section 8)."""
        return self.status.as_json()


@dataclass(frozen=True, slots=True)
class SignInChanged:
    """A sign-in has started or ended."""

    kind: ClassVar[str] = "sign-in"
    account: str
    state: Literal["started", "done", "failed"]
    message: str
    error: str | None = None
    """The contract's name of the error that ended it; None where none did."""

    def as_json(self) -> dict[str, Any]:
        """The data of the server-sent event (.github/CONTRACT.md, section 8)."""
        data = {"account": self.account, "state": self.state, "message": self.message}
        return data | ({"error": self.error} if self.error else {})


@dataclass(frozen=True, slots=True)
class AccountGone:
    """The account is no longer in the configuration, or is about to be replaced. Not part of the event stream."""

    account: str


Event = HealthChanged | SignInChanged | AccountGone
