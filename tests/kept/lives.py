"""A few lives that leave everything behind which Lamplighter keeps: written by its own rooms, into one folder.

    config.toml, state/     as in a home
    keyring.json            a keyring without a limit, for the person's own folders
    keyring-in-parts.json   one with the limit of Windows, for the folder `HOME`
    told.json               the moment of it, and what `status --json` told then

`work` was refreshed and its person warned, `mail` refused and put off, `shop` registered itself and its provider cannot
be reached, and the process died while it refreshed `lost`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.builders import failure, tokens
from tests.integration.hostile_server import HandClock
from tray_app.adapters.claude_code.credentials import ClaudeCredentials
from tray_app.adapters.config import parser as config
from tray_app.adapters.config.editor import with_account
from tray_app.adapters.oauth import registration
from tray_app.adapters.store.facts import FactsFolder
from tray_app.adapters.store.history_file import History
from tray_app.adapters.store.keyring_backend import PART_SIZE, Backend
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.adapters.store.locks import FileLock
from tray_app.base.paths import write_private
from tray_app.core.account import Account
from tray_app.core.events import HealthChanged, SignInChanged
from tray_app.core.message import msg
from tray_app.core.ports import Dependencies, ProviderError
from tray_app.core.provider_errors import Failure, FailureKind
from tray_app.core.tokens import Secret, TokenAnswer, TokenSet
from tray_app.engine.refresher import Refresher

HOME = Path("/lamplighter/kept")
WRITTEN_BY_HAND = """\
# What a person has written stays.
store = "keyring"

[retry]
first = "1s"
limit = "5m"
"""
SHOP = "https://shop.example.com"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "work": {
        "issuer": "https://login.example.com",
        "client_id": "tray",
        "scopes": ["openid", "offline_access"],
        "refresh_before": "10m",
        "hosts": ["git.example.com"],
        "on_refresh": ["true"],
    },
    "mail": {
        "authorization_endpoint": "https://mail.example.com/authorize",
        "token_endpoint": "https://mail.example.com/token",
        "client_id": "mailer",
        "token_request": "json",
        "authorization_parameters": {"prompt": "consent"},
    },
    "shop": {"resource": f"{SHOP}/mcp"},
    "lost": {"issuer": "https://lost.example.com", "client_id": "tray", "refresh_every": "50m"},
}
REGISTERED = registration.Registration(
    issuer=SHOP,
    client_id="given-to-us",
    redirect_uris=("http://127.0.0.1:40404/callback",),
    secret=Secret("shop-client-secret"),
    method="client_secret_post",
    access_token=Secret("shop-registration-token"),
    client_uri=f"{SHOP}/clients/given-to-us",
    secret_expires_at=datetime(2027, 11, 24, tzinfo=UTC),
)
LATER_UNTIL = datetime(2026, 11, 24, 16, tzinfo=UTC)


@dataclass
class Entries:
    """A keyring that can be written to a file."""

    kept: dict[str, str] = field(default_factory=dict)

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[f"{service} {username}"] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[f"{service} {username}"]

    def store(self, home: Path | None = None, part_size: int | None = None) -> KeyringStore:
        """Our store on it."""
        backend = Backend(self, "entries", part_size)  # type: ignore[arg-type]  # all that is asked of a keyring
        return KeyringStore(home, choose=lambda: backend)


class Servers:
    """The providers of all of them."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self.asked: list[tuple[str, str]] = []
        self.refusing: dict[str, Failure] = {}

    async def refresh(self, account: Account, old: TokenSet) -> TokenAnswer:
        assert old.refresh_token is not None
        self.asked.append((account.name, old.refresh_token.reveal()))
        if account.name in self.refusing:
            raise ProviderError(replace(self.refusing[account.name], at=self._clock.time))
        access, refresh = (Secret(f"{account.name}-{kind}-2") for kind in ("access", "refresh"))
        return TokenAnswer(
            access,
            "Bearer",
            self._clock.time,
            lifetime=timedelta(hours=1),
            refresh_token=refresh,
            scopes=("openid", "offline_access"),
            subject="somebody",
            sign_in_lifetime=timedelta(days=2),
        )

    async def revoke(self, account: Account, old: TokenSet) -> str | None:
        return None

    async def forget(self, account: Account) -> None:
        pass


async def live(folder: Path, scratch: Path) -> None:
    """Writes all of it into the folder, which is new."""
    write_private(folder / "config.toml", WRITTEN_BY_HAND)
    for name, values in ACCOUNTS.items():
        with_account(folder / "config.toml", name, values).save()
    configuration = config.load(folder / "config.toml")
    clock, own, of_home = HandClock(), Entries(), Entries()
    store, elsewhere = own.store(), of_home.store(HOME, PART_SIZE)
    servers = Servers(clock)
    servers.refusing = {
        "mail": failure(
            FailureKind.REFUSED, code="invalid_grant", status=400, message=msg("{name}: signed out", name="mail")
        ),
        "shop": failure(FailureKind.UNREACHABLE, status=503),
    }
    facts = FactsFolder(folder / "state/accounts")
    parts = Dependencies(store, facts, servers, FileLock(scratch), clock, lambda: 0.25, ClaudeCredentials)
    refreshers = [
        Refresher(account, parts, configuration.retry, lambda _: None) for account in configuration.accounts.values()
    ]
    history = History(folder / "state/history.jsonl", clock)
    history.begin()
    await store.set_client_secret("mail", Secret("mail-client-secret"))
    await store.set_registration("shop", registration.to_text([REGISTERED]))
    for refresher in refreshers:
        await refresher.signed_in(_first_tokens(refresher.account, clock.time))
        history.happened(SignInChanged(refresher.account.name, "done", ""))
        history.happened(HealthChanged(refresher.status()))
    clock.pass_by(minutes=55)
    for refresher in refreshers[:3]:
        await refresher.attend()
        history.happened(HealthChanged(refresher.status()))
    work, mail, _, lost = refreshers
    assert work.record.tokens is not None
    work.notes.is_news("warned_of", work.record.tokens.sign_in_ends_at.isoformat())  # type: ignore[union-attr]
    mail.notes.put_off(LATER_UNTIL)
    lost.notes.note(lost.record, refreshing=lost.record.tokens)
    history.end()
    for refresher in refreshers:
        if (kept := refresher.record.tokens) is not None:
            await elsewhere.save(refresher.account.name, replace(kept, access_token=Secret("long" * PART_SIZE)))
    await store.close()
    await elsewhere.close()
    told = {"now": clock.time.isoformat(), "accounts": [refresher.status().as_json() for refresher in refreshers]}
    for name, value in (("keyring", own.kept), ("keyring-in-parts", of_home.kept), ("told", told)):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _first_tokens(account: Account, now: datetime) -> TokenSet:
    access, refresh = f"{account.name}-access-1", f"{account.name}-refresh-1"
    made = tokens(60, now=now, access_token=access, refresh_token=refresh, bound_to=account.bound_to)
    return replace(made, issuer=SHOP, client_id=REGISTERED.client_id) if account.name == "shop" else made
