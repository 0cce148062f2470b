"""What an engine works with on a simulated machine: store, facts, lock, clock, and the way to the provider.

Each is one process's view of what the machine holds. The real classification reads what comes back.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from random import Random
from typing import Any, Self

from tests.simulation.network import NoAnswer, ask
from tests.simulation.world import Process
from tray_app.adapters.claude_code.credentials import ClaudeCredentials
from tray_app.adapters.oauth.http_client import AnswerLost
from tray_app.adapters.oauth.token_response import token_answer
from tray_app.adapters.store.locks import LOOK_AGAIN
from tray_app.adapters.store.memory_store import MemoryStore
from tray_app.core.account import Account
from tray_app.core.errors import StoreUnavailable
from tray_app.core.ports import ProviderError
from tray_app.core.provider_errors import Failure, FailureKind, classify
from tray_app.core.tokens import TokenAnswer, TokenSet
from tray_app.engine.refresher import Dependencies

READING, WRITING = 0.013, 0.020
"""Seconds that gnome-keyring takes (measured)."""
PROBED = 11.0
"""Seconds after which the keep-alive probes of `adapters/oauth/http_client.py` have found a connection dead."""
MOVED = 1.0
"""Seconds between its two looks whether this computer is in another network by now."""
HOST = "login.example.com"


def parts_of(process: Process, rng: Random) -> Dependencies:
    """The parts of an engine in this process."""
    clock = Clock(process)
    return Dependencies(
        Keyring(process),
        DiskFacts(process),
        Provider(process, clock),
        Lock(process),
        clock,
        rng.random,
        ClaudeCredentials,
    )


class Clock:
    """The machine's wall clock."""

    def __init__(self, process: Process) -> None:
        self.now = process.machine.wall
        self._machine = process.machine

    def now(self) -> datetime:  # type: ignore[no-redef]  # the port's form; the instance has the machine's own
        raise NotImplementedError

    def since_boot(self) -> float:
        return self._machine.now


class Keyring:
    """The real memory store, kept by the machine, with a lock on it and a time to answer."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._machine = process.machine
        self._store: MemoryStore = process.machine.stored.setdefault("keyring", MemoryStore())

    async def load(self, account: str) -> TokenSet | None:
        self._process.step("read")
        await self._answers(READING)
        return await self._store.load(account)

    async def save(self, account: str, tokens: TokenSet) -> None:
        self._process.step("save")
        await self._answers(WRITING)
        await self._store.save(account, tokens)
        self._process.step("saved")

    async def erase(self, account: str) -> None:
        await self._answers(WRITING)
        await self._store.erase(account)

    async def check(self) -> None:
        await self._answers(WRITING)

    async def _answers(self, after: float) -> None:
        if not self._machine.keyring_open:
            raise StoreUnavailable("the keyring is locked", "Unlock it", reason="locked")
        await asyncio.sleep(after)


class DiskFacts:
    """Facts as `MemoryFacts` keeps them, kept by the machine. Not as text: to write and read it is a tenth of a year,
    and that nothing is lost by it is tested where the real files are.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._facts: dict[str, dict[str, Any]] = process.machine.stored.setdefault("facts", {})

    def load(self, account: str) -> dict[str, Any]:
        return dict(self._facts.get(account, {}))

    def save(self, account: str, facts: dict[str, Any]) -> None:
        self._process.step("note" if facts.get("refreshing") else "noted")
        self._facts[account] = facts

    def erase(self, account: str) -> None:
        self._process.step("noted")
        self._facts.pop(account, None)


class Lock:
    """The kernel's lock: looked at as often as the real one, and let go when its process dies."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def held(self, account: str) -> Held:
        return Held(self._process, account)

    def claim(self, account: str, *, newer: bool) -> bool:
        locks, name = self._process.machine.locks, f"{account}.newer"
        if newer:
            locks.setdefault(name, self._process)
        elif locks.get(name) is self._process:
            del locks[name]
        return locks.get(name) is self._process

    def is_claimed(self, account: str) -> bool:
        return self._process.machine.locks.get(f"{account}.newer", self._process) is not self._process

    def lead(self) -> bool:
        return self._process.machine.locks.setdefault("lead", self._process) is self._process

    def leave(self) -> None:
        if self.lead():
            del self._process.machine.locks["lead"]


class Held:
    """One hold of a lock."""

    def __init__(self, process: Process, account: str) -> None:
        self._process = process
        self._account = account

    async def __aenter__(self) -> Self:
        self._process.step("lock")
        locks = self._process.machine.locks
        while self._account in locks:  # noqa: ASYNC110 - another process sets no asyncio.Event
            await asyncio.sleep(LOOK_AGAIN)
        locks[self._account] = self._process
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.alive:
            del self._process.machine.locks[self._account]


class Provider:
    """The authorization server as the engine sees it, with the real reading of what comes back."""

    def __init__(self, process: Process, clock: Clock) -> None:
        self._process = process
        self._clock = clock

    async def refresh(self, account: Account, tokens: TokenSet) -> TokenAnswer:
        assert tokens.refresh_token is not None
        requested_at = self._clock.now()
        try:
            answer = await ask(self._process, tokens.refresh_token.reveal(), PROBED, MOVED)
        except NoAnswer as error:
            kind = FailureKind.UNTRUSTED if error.certificate else FailureKind.UNREACHABLE
            failure = Failure(kind, f"{HOST}: {error}", self._clock.now(), offline=error.offline)
            raise (AnswerLost if error.sent else ProviderError)(failure) from error
        found = token_answer(answer, requested_at)
        if found is None:
            raise ProviderError(classify(answer, self._clock.now(), host=HOST))
        return found

    async def revoke(self, account: Account, tokens: TokenSet) -> str | None:
        raise NotImplementedError("nobody signs out in this life")
