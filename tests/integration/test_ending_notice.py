"""The warning before a sign-in ends: once, at leisure, whatever happens in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import BOUND, NOW, account, failure, tokens
from tests.integration.hostile_server import HandClock
from tray_app.adapters.store.facts import FactsFolder
from tray_app.adapters.store.locks import FileLock
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.core import record as change
from tray_app.core.account import RetryPolicy
from tray_app.core.events import HealthChanged
from tray_app.core.ports import Dependencies
from tray_app.engine.refresher import Refresher
from tray_app.interfaces.notifications.early_warnings import remind


class Screen:
    """Remembers what is shown."""

    def __init__(self):
        self.told = []
        self.shown = {}
        self.signing_in = []

    def tell(self, key, title, body, *, actions, chosen, otherwise):
        self.told.append((title, body))
        self.shown[key] = chosen

    def untell(self, key):
        self.shown.pop(key, None)

    def sign_in(self, name):
        self.signing_in.append(name)


class Life:
    """One account over restarts: a new refresher on the facts that the last one left."""

    def __init__(self, folder):
        self.clock = HandClock()
        self.folder = folder
        self.screen = Screen()
        self.store = MemoryStore()
        self.start()

    def start(self):
        facts = FactsFolder(self.folder / "accounts")
        parts = Dependencies(self.store, facts, None, FileLock(self.folder), self.clock, lambda: 0.5, None)
        self.refresher = Refresher(account(), parts, RetryPolicy(), self.tell)

    def tell(self, refresher):
        remind(self.screen, refresher, HealthChanged(refresher.status()), self.clock.time)

    async def signed_in(self, days, life=timedelta(days=30)):
        end = self.clock.time + timedelta(days=days)
        await self.refresher.signed_in(
            tokens(life / timedelta(minutes=1), life=life, now=self.clock.time, sign_in_ends_at=end, bound_to=BOUND)
        )

    async def restart(self):
        self.start()
        await self.refresher.load()


@pytest.fixture
def life(tmp_path):
    return Life(tmp_path)


async def test_three_days_before_its_end_it_is_told_once_and_a_click_signs_in(life):
    await life.signed_in(10)
    before = list(life.screen.told)
    for _ in range(3):
        life.clock.pass_by(days=2.5)
        life.tell(life.refresher)
    life.screen.shown["ending:work"]("sign-in")

    assert before == []
    assert [title for title, _ in life.screen.told] == ["The sign-in of work ends soon"]
    assert "4 Dec" in life.screen.told[0][1]
    assert life.screen.signing_in == ["work"]


async def test_neither_a_restart_nor_a_refresh_nor_a_failure_tells_it_again(life):
    await life.signed_in(2)
    await life.restart()
    life.refresher.state.become(change.failed(life.refresher.record, failure(), NOW))
    await life.signed_in(2)
    await life.restart()

    assert len(life.screen.told) == 1


async def test_a_new_sign_in_takes_it_away_and_its_own_end_is_told_in_its_time(life):
    await life.signed_in(2)
    life.clock.pass_by(days=1)
    await life.signed_in(20)
    while_it_is_long = dict(life.screen.shown)
    life.clock.pass_by(days=18)
    life.tell(life.refresher)

    assert while_it_is_long == {}
    assert len(life.screen.told) == 2


async def test_an_idle_limit_that_each_refresh_puts_off_is_no_end(life):
    await life.signed_in(0.5 / 24)  # Keycloak's half an hour

    assert life.screen.told == []
