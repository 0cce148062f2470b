"""What each version has kept of its accounts is still read: nobody is signed out by an update. See tests/kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.builders import failure
from tests.integration.hostile_server import HandClock
from tests.kept.lives import ACCOUNTS, HOME, LATER_UNTIL, REGISTERED, Entries, Servers, live
from tray_app._version import __version__
from tray_app.adapters.claude_code.credentials import ClaudeCredentials
from tray_app.adapters.config import parser as config
from tray_app.adapters.oauth import registration
from tray_app.adapters.store.facts import FactsFolder
from tray_app.adapters.store.history_file import History
from tray_app.adapters.store.keyring_backend import PART_SIZE
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.adapters.store.locks import FileLock
from tray_app.core.health import Health
from tray_app.core.ports import Dependencies
from tray_app.core.provider_errors import FailureKind
from tray_app.engine.refresher import Refresher

KEPT = Path(__file__).parents[1] / "kept"
VERSIONS = sorted(path.name for path in KEPT.iterdir() if (path / "told.json").exists())


@dataclass
class Updated:
    """Lamplighter as it is now, on what an earlier one has left."""

    home: Path
    told: dict[str, Any]
    clock: HandClock
    servers: Servers
    store: KeyringStore
    refreshers: dict[str, Refresher]

    def entries(self, keyring: str) -> Entries:
        return Entries(json.loads((self.home / f"{keyring}.json").read_text("utf-8")))


@pytest.fixture(params=VERSIONS)
async def updated(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Updated]:
    home = tmp_path / "home"
    shutil.copytree(KEPT / request.param, home)
    told, clock = json.loads((home / "told.json").read_text("utf-8")), HandClock()
    clock.time = datetime.fromisoformat(told["now"])
    servers = Servers(clock)
    updated = Updated(home, told, clock, servers, KeyringStore(None), {})
    updated.store = updated.entries("keyring").store()
    parts = Dependencies(
        updated.store,
        FactsFolder(home / "state/accounts"),
        servers,
        FileLock(tmp_path),
        clock,
        lambda: 0.75,
        ClaudeCredentials,
    )
    configuration = config.load(home / "config.toml")
    for name, account in configuration.accounts.items():
        updated.refreshers[name] = Refresher(account, parts, configuration.retry, lambda _: None)
        await updated.refreshers[name].load()
    yield updated
    await updated.store.close()


async def test_every_account_is_told_as_it_was(updated: Updated) -> None:
    for told in updated.told["accounts"]:
        now = updated.refreshers[told["name"]].status().as_json()

        assert {key: now[key] for key in told} == told


async def test_its_tokens_serve(updated: Updated) -> None:
    held = {
        name: (kept.access_token.reveal(), kept.refresh_token and kept.refresh_token.reveal(), kept.subject)
        for name, refresher in updated.refreshers.items()
        if (kept := refresher.record.tokens) is not None
    }
    updated.clock.pass_by(minutes=55)
    await updated.refreshers["work"].attend()
    await updated.refreshers["shop"].attend()

    assert held == {
        "work": ("work-access-2", "work-refresh-2", "somebody"),
        "shop": ("shop-access-1", "shop-refresh-1", None),
        "lost": ("lost-access-1", "lost-refresh-1", None),
    }
    assert updated.servers.asked == [("work", "work-refresh-2"), ("shop", "shop-refresh-1")]
    assert updated.refreshers["shop"].health is Health.ENDING  # as its server says


@pytest.mark.skipif(os.name == "nt", reason="only where a path is the same on each machine")
async def test_tokens_in_the_parts_of_a_small_keyring_and_of_a_home_of_its_own_are_found(updated: Updated) -> None:
    store = updated.entries("keyring-in-parts").store(HOME, PART_SIZE)
    found = [await store.load(name) for name in ("work", "shop", "lost")]
    await store.close()

    assert [kept.access_token.reveal() for kept in found if kept] == ["long" * PART_SIZE] * 3


async def test_clients_secrets_and_registrations_are_found(updated: Updated) -> None:
    secret = await updated.store.client_secret("mail")
    found = registration.from_text(await updated.store.registration("shop"))
    tokens = updated.refreshers["shop"].record.tokens

    assert secret is not None
    assert secret.reveal() == "mail-client-secret"
    assert found == (REGISTERED,)
    assert tokens is not None
    assert (tokens.issuer, tokens.client_id) == (REGISTERED.issuer, REGISTERED.client_id)


async def test_what_a_person_put_off_or_was_told_is_remembered(updated: Updated) -> None:
    work = updated.refreshers["work"]
    assert work.record.tokens is not None
    ends_at = work.record.tokens.sign_in_ends_at
    assert ends_at is not None

    assert updated.refreshers["mail"].notes.later_until == LATER_UNTIL
    assert not work.notes.is_news("warned_of", ends_at.isoformat())


async def test_a_refresh_that_its_last_process_did_not_end_explains_a_refusal(updated: Updated) -> None:
    updated.servers.refusing["lost"] = failure(FailureKind.REFUSED, code="invalid_grant", status=400)
    lost = updated.refreshers["lost"]
    await lost.attend()

    assert lost.record.failure is not None
    assert (lost.record.failure.kind, lost.health) == (FailureKind.INTERRUPTED, Health.SIGN_IN_NEEDED)


async def test_its_history_goes_on(updated: Updated) -> None:
    history = History(updated.home / "state/history.jsonl", updated.clock)
    before = history.entries()
    updated.clock.pass_by(minutes=1)
    history.begin()

    kinds = [entry["kind"] for entry in before]
    assert kinds[0] == "start"
    assert kinds[-1] == "stop"
    assert kinds.count("sign-in") == len(ACCOUNTS)
    assert {"refresh", "failure", "health"} <= set(kinds)
    assert [entry["kind"] for entry in history.entries()] == [*kinds, "start"]


async def test_what_is_kept_of_this_version_is_what_it_writes(tmp_path: Path) -> None:
    written = tmp_path / "written"
    written.mkdir()
    await live(written, tmp_path)

    def files(folder: Path) -> dict[str, str]:
        found = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in found}

    assert files(KEPT / __version__) == files(written), "write it anew: .venv/bin/python -m tests.kept"
