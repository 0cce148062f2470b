"""The ports: what the engine needs from outside. Each promise is a suite in tests/contract, run on each adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from tray_app.core.account import Account
from tray_app.core.claude_code import Reading
from tray_app.core.failure import Failure
from tray_app.core.health import Health
from tray_app.core.tokens import Secret, TokenAnswer, TokenSet


class Clock(Protocol):
    """The wall clock: it decides everything that is planned."""

    def now(self) -> datetime:
        """The time as an aware UTC datetime."""


@runtime_checkable
class AnchoredClock(Clock, Protocol):
    """A wall clock that is noticed when it is set: beside it runs one that cannot be."""

    def since_boot(self) -> float:
        """Seconds that have really gone by, in sleep too, from some moment on."""


class ProviderError(Exception):
    """The provider could not be asked or did not give tokens; `failure` is the class and the reason."""

    answer_lost = False
    """Whether the request went out and no whole answer came back: the provider may have acted on it."""

    def __init__(self, failure: Failure, refresh_token: Secret | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.refresh_token = refresh_token
        """A new refresh token in an answer that is of no other use: the old one is spent, so this one is kept."""


class Provider(Protocol):
    """An account's authorization server."""

    async def refresh(self, account: Account, tokens: TokenSet) -> TokenAnswer:
        """New tokens for the refresh token (RFC 6749, 6). Raises `ProviderError`."""

    async def revoke(self, account: Account, tokens: TokenSet) -> str | None:
        """Revokes both tokens (RFC 7009). None when done, else what could not be revoked, in words."""

    async def forget(self, account: Account) -> None:
        """Lets go of what was registered for the account (RFC 7592). Raises `ProviderError`."""


class TokenStore(Protocol):
    """Tokens at rest. What is promised here is tested in tests/contract/test_token_store.py."""

    async def load(self, account: str) -> TokenSet | None:
        """The stored tokens, or None where none were ever stored.

        Raises `StoreUnavailable` when the store cannot say: locked is not absent.
        """

    async def save(self, account: str, tokens: TokenSet) -> None:
        """Keeps the tokens; returns once they were read back. Raises `StoreUnavailable`; the old ones then remain."""

    async def erase(self, account: str) -> None:
        """Nothing of the account's tokens is left. No error where there was nothing. Raises `StoreUnavailable`."""

    async def check(self) -> None:
        """Writes, reads back and clears a probe. Raises `StoreUnavailable` with the remedy."""


class SecretStore(TokenStore, Protocol):
    """A token store that keeps what belongs to clients as well. Each raises `StoreUnavailable`."""

    async def client_secret(self, account: str) -> Secret | None:
        """The account's client secret, None for a public client."""

    async def set_client_secret(self, account: str, secret: Secret | None) -> None:
        """Keeps the client secret; None removes it."""

    async def registration(self, account: str) -> Secret | None:
        """The stored client registrations of the account (RFC 7591); None where there are none."""

    async def set_registration(self, account: str, text: Secret | None) -> None:
        """Stores them; None removes them."""


class RefreshLock(Protocol):
    """At most one refresh per account across processes; the kernel releases it when a process dies."""

    def held(self, account: str) -> AbstractAsyncContextManager[None]:
        """Waits for the account's lock and holds it."""

    def claim(self, account: str, *, newer: bool) -> bool:
        """Claims, for other processes to see, that this one has newer tokens than the store, or ends the claim.

        Says whether it holds the claim now: another one may. Its end ends it. Raises `StoreUnavailable` where no claim
        can be made.
        """

    def is_claimed(self, account: str) -> bool:
        """Whether another living process has newer tokens than the store."""

    def lead(self) -> bool:
        """Whether this process is the leader, which it becomes where no other living process is.

        Only the leader refreshes while the store cannot be read. It stays the leader until `leave` or its end.
        """

    def leave(self) -> None:
        """Stops being the leader."""


class Facts(Protocol):
    """Facts about accounts other than their tokens; holds no secrets."""

    def load(self, account: str) -> dict[str, Any]:
        """The facts as they were saved; empty where there are none or they cannot be read."""

    def save(self, account: str, facts: dict[str, Any]) -> None:
        """Stores the facts atomically. A failed write is logged, not raised."""

    def erase(self, account: str) -> None:
        """Forgets the account."""


class WatchedCredentials(Protocol):
    """The credentials file of another program, of which only the dates are read."""

    may_be_in_keychain: bool
    """Whether the program may keep its sign-in in the keychain, which is not read, instead of the file."""

    @property
    def path(self) -> object:
        """Where the file is, for messages and to be compared."""

    def version(self) -> object:
        """What tells one version of the file from another."""

    def read(self) -> Reading | None:
        """The dates in the file; None where there is no sign-in. Raises ValueError where half written, OSError."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Calls `changed` in the loop when the file has changed."""

    def close(self) -> None:
        """`changed` is not called again."""

    def check_program(self) -> None:
        """Raises `Misconfigured` where the program that signs in is not found. Slow: call it in a thread."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the engine works with; tests replace them."""

    store: SecretStore
    facts: Facts
    provider: Provider
    lock: RefreshLock
    clock: Clock
    draw: Callable[[], float]
    """Uniform draws from [0, 1)."""
    credentials: Callable[[Account], WatchedCredentials]
    """The file of an account whose tokens another program keeps."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to the person. Its texts are messages (`core/message.py`), translated by the notifier."""

    key: str
    """A notification of the same key is replaced; `withdraw(key)` takes it away."""
    title: str
    body: str
    """Plain text; the notifier escapes what its desktop would read as markup."""
    actions: Sequence[tuple[str, str]] = ()
    """Identifier and label of each button, in order. The first is also what a click on the body means."""
    otherwise: str = ""
    """Added where the desktop shows no buttons: where to click instead."""
    urgent: bool = False


class Notifier(Protocol):
    """Notifications on this desktop."""

    has_actions: bool
    """Whether buttons can be shown and clicked here."""

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        """Shows it; `chosen(identifier)` is called in the loop for a button or the body. False when it cannot."""

    async def withdraw(self, key: str) -> None:
        """Takes the notification away where it is still shown."""

    async def close(self) -> None:
        """Withdraws all and disconnects from the desktop."""


class Quiet(Protocol):
    """Whether notifications should be held back ("do not disturb")."""

    async def because(self, changed: Callable[[], None]) -> str | None:
        """Why notifications are held back now, for the log; None where they are not, or it is unknown.

        While there is a reason, `changed` is called when something may be different.
        """

    def close(self) -> None:
        """Stops watching."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A line of the menu; the tray translates it. `act` runs outside the tray's thread.

    Without it and without `below` the line is a label.
    """

    text: str
    act: Callable[[], None] | None = None
    enabled: bool = True
    ticked: bool | None = None
    below: Sequence[MenuEntry | None] = ()
    """A submenu; None is a separator."""
    default: bool = False
    """What a left click on the icon does."""


@dataclass(frozen=True, slots=True)
class TrayView:
    """Everything that a tray shows at one moment."""

    health: Health = Health.SIGNED_OUT
    signing_in: bool = False
    starting: bool = False
    tooltip: str = "Lamplighter"
    menu: Sequence[MenuEntry | None] = field(default_factory=tuple)
    renewed: Callable[[], TrayView] | None = None
    """The same view with the remaining times as of now; pure, may be called from any thread."""


class Tray(Protocol):
    """The icon. `run` belongs to the main thread, the rest may be called from any."""

    renews_menu: bool
    """Whether the menu is updated when it opens, so that its remaining times need no updates meanwhile."""

    def run(self, ready: Callable[[], None]) -> None:
        """Shows the icon and serves it until `stop`. `ready` is called once, off this thread, when it is registered
        with a panel or when there is none to wait for.
        """

    def show(self, view: TrayView) -> None:
        """Shows this from now on."""

    def balloon(self, title: str, body: str) -> bool:
        """Shows the icon's own balloon; False where the platform has none."""

    def stop(self) -> None:
        """Takes the icon away; `run` returns."""


Flow = Literal["browser", "paste", "device", "elsewhere"]
"""How a person signs in: in a browser on this machine, by pasting what another browser was sent, with a code on another
device (RFC 8628), or in the best of these two ways.
"""


@dataclass(frozen=True, slots=True)
class SignInPrompt:
    """What a person needs to sign in."""

    url: str
    """To be opened in a browser, here or elsewhere."""
    user_code: str | None = None
    """The code to enter there, or to compare where the URL contains it; None in the browser flow."""
    verification_uri: str | None = None
    """The same page without the code: short enough to be typed."""
    expires_at: datetime | None = None


class Screen(Protocol):
    """What shows notifications and runs what is clicked: the applet."""

    def tell(
        self,
        key: str,
        title: str,
        body: str,
        *,
        actions: list[tuple[str, str]],
        chosen: Callable[[str], None],
        otherwise: str,
    ) -> None:
        """Shows one notification."""

    def untell(self, key: str) -> None:
        """Takes it away."""

    def sign_in(self, name: str) -> None:
        """Starts the account's sign-in."""

    def post(self, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Runs `act` in the loop."""


class Browser(Protocol):
    """The person's browser."""

    def open(self, url: str) -> bool:
        """Starts it, detached, without waiting. False where there is none."""


class SystemEvents(Protocol):
    """Resume, network, clock set: reported where the platform signals them."""

    async def watch(self, happened: Callable[[str], Awaitable[None]]) -> None:
        """Calls `happened("resume" | "network" | "clock" | "suspend")`. Returns at once where nothing can be had."""

    async def close(self) -> None:
        """Stops watching."""
