"""One account on parts that misbehave on purpose: a store that refuses, a provider that fails by script."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from tests.builders import account, tokens
from tests.integration.hostile_server import HandClock
from tray_app.adapters.store.facts import MemoryFacts
from tray_app.adapters.store.locks import FileLock
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.core.account import RetryPolicy
from tray_app.core.errors import StoreUnavailable
from tray_app.core.ports import Dependencies, ProviderError
from tray_app.core.tokens import Secret, TokenAnswer
from tray_app.engine.refresher import Refresher


class FailingStore(MemoryStore):
    """A store that says for each call whether it can; `asked` counts. Its reads can be held up."""

    def __init__(self):
        super().__init__()
        self.reads = self.writes = True
        self.asked = 0
        self.is_read = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    def _may(self, able):
        self.asked += 1
        if not able:
            raise StoreUnavailable("the keyring is locked", "Unlock it", reason="locked")

    async def load(self, account):
        self.is_read.set()
        await self.go_on.wait()
        self._may(self.reads)
        return await super().load(account)

    async def save(self, account, tokens):
        self._may(self.writes)
        await super().save(account, tokens)


class ScriptedProvider:
    """Rotates; fails with the failures that it is given, in turn; can be held up."""

    def __init__(self, clock):
        self.clock = clock
        self.failures = []
        self.seen = []
        self.revoked = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def refresh(self, account, tokens):
        self.seen.append(tokens.refresh_token.reveal())
        await self.go_on.wait()
        if self.failures:
            failing = self.failures.pop(0)
            raise failing if isinstance(failing, ProviderError) else ProviderError(failing)
        number = len(self.seen)
        return TokenAnswer(
            Secret(f"A{number}"), "Bearer", self.clock.time, timedelta(hours=1), refresh_token=Secret(f"R{number}")
        )

    async def revoke(self, account, tokens):
        await self.go_on.wait()
        self.revoked.append(tokens.refresh_token.reveal())


class Environment:
    """One process on these parts, and another one beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = HandClock()
        self.store = FailingStore()
        self.facts = MemoryFacts()
        self.provider = ScriptedProvider(self.clock)
        self.parts = Dependencies(
            self.store, self.facts, self.provider, FileLock(folder), self.clock, lambda: 0.5, None
        )
        self.account = account()

    def refresher(self):
        return Refresher(self.account, self.parts, RetryPolicy(), lambda _: None)

    def of_another_process(self):
        self.other = FileLock(self.folder)
        return Refresher(self.account, replace(self.parts, lock=self.other), RetryPolicy(), lambda _: None)

    async def signed_in(self, **changes):
        refresher = self.refresher()
        await refresher.signed_in(tokens(60, now=self.clock.time, bound_to=self.account.bound_to, **changes))
        return refresher

    def held(self):
        return self.store._tokens["work"].refresh_token.reveal() if "work" in self.store._tokens else None
