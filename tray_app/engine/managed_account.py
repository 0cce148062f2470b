"""What the engine asks of an account, whoever keeps its tokens: Lamplighter, or another program that it watches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from tray_app.core.account import Account, RetryPolicy
from tray_app.core.failure import Failure
from tray_app.core.health import Health
from tray_app.core.status import AccountStatus
from tray_app.core.tokens import Secret, TokenSet
from tray_app.engine.account_notes import AccountNotes


class ManagedAccount(Protocol):
    """One account. `Refresher` keeps its tokens fresh; `WatchedAccount` only follows another program's file.

    Belongs to the event loop's thread. What a watched account cannot do raises `Misconfigured`.
    """

    notes: AccountNotes
    needs_network: bool
    """Whether its work asks a provider: it is then put off while the machine falls asleep or has no network."""

    # -- reading it

    @property
    def account(self) -> Account:
        """Its configuration."""

    @property
    def health(self) -> Health:
        """Its health now."""

    def status(self) -> AccountStatus:
        """The account as it is now."""

    @property
    def unsaved(self) -> Failure | None:
        """Why the newest tokens are not in the store; None where they are."""

    @property
    def is_turned_away(self) -> bool:
        """Whether to offer a sign-in although refreshing is still retried (.github/CONTRACT.md, section 5)."""

    @property
    def sign_in_lasts(self) -> timedelta | None:
        """How long the sign-in was to last when its tokens came; None where the provider did not say."""

    # -- its life

    async def load(self) -> object:
        """Reads what is stored."""

    def start(self) -> None:
        """It is kept fresh from now on, and its state logged."""

    def configure(self, account: Account, retry: RetryPolicy) -> None:
        """Takes over a changed configuration."""

    async def settle(self, *, for_good: bool = False) -> None:
        """Returns when nothing is under way; with `for_good` it is then not used again."""

    # -- what is due

    def due(self) -> datetime | None:
        """When `attend` is due; None while it is running, or where only a person can help."""

    @property
    def needs_polling(self) -> bool:
        """Whether it may become due at a moment that cannot be known now."""

    def health_changes_at(self, now: datetime) -> datetime | None:
        """When time alone changes the health next."""

    async def attend(self) -> None:
        """Does what is due, if anything."""

    def hurry(self) -> None:
        """The network or the clock has changed."""

    def set_back(self, by: timedelta) -> None:
        """The clock has gone back by this much."""

    # -- what can be asked

    async def token(self, min_ttl: timedelta, *, wait: bool) -> TokenSet:
        """A valid access token with at least `min_ttl` left. Raises `LamplighterError`."""

    def token_at_hand(self) -> TokenSet | None:
        """A valid access token where nothing is due; None where `token` has to be asked."""

    async def refresh(self, rejected: Callable[[TokenSet], bool] | None = None) -> None:
        """Refreshes now; with `rejected`, only if that says so of the current tokens. Raises `LamplighterError`."""

    async def check(self) -> None:
        """Raises `LamplighterError` where a sign-in could not be kept."""

    async def signed_in(self, tokens: TokenSet) -> None:
        """Keeps the tokens of a sign-in. Raises `LamplighterError`."""

    async def sign_out(self) -> str | None:
        """Signs out; says in words what could not be revoked. Raises `LamplighterError`."""

    async def set_client_secret(self, secret: Secret | None) -> None:
        """Keeps the client secret; None removes it. Raises `LamplighterError`."""

    async def forget(self) -> None:
        """Removes what is kept of the account's client. Raises `LamplighterError`."""
