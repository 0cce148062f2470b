"""The policies of others, written from their published behaviour.

Fixed tick: a timer of 50 minutes; at each tick a token that ends within 10 minutes is refreshed; three failures in a
row clear the credentials. Whoever asks is handed what is there.
On demand: refreshed when a program asks and the token has ended; any HTTP 400 is final and clears the credentials.
Eager daemon: refreshed 90 s before the end, again every 40 s after a failure; an answer that it does not know drops
the refresh token. One daemon a machine, so a second process only asks it.

None of them takes a lock; each writes what it gets to the store at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from tests.simulation.network import NoAnswer, ask
from tests.simulation.world import Process
from tray_app.core.provider_errors import Answer

TICK, ENDS_WITHIN, STRIKES = 50 * 60.0, 10 * 60.0, 3
EAGER, AGAIN = 90.0, 40.0


@dataclass(frozen=True, slots=True)
class Held:
    """What such a program holds."""

    access: str
    refresh: str
    ends: float
    """By the machine's wall clock."""


class Other:
    """What they share: a store, a request, and giving up."""

    name = ""

    def __init__(self, process: Process, rng: Random, call: Callable[[bool], None] | None = None) -> None:
        self._process = process
        self._call = call
        self._machine = process.machine
        self._held: Held | None = None
        self._called = False
        self._changed = asyncio.Event()

    def _load(self) -> None:
        if self._machine.keyring_open:
            self._held = self._machine.stored.get("tokens")

    def _save(self, held: Held | None) -> None:
        self._held = held
        if self._machine.keyring_open:
            self._process.step("save")
            self._machine.stored["tokens"] = held

    def _wall(self) -> float:
        return self._machine.wall().timestamp()

    def _left(self) -> float:
        return self._held.ends - self._wall() if self._held is not None else 0.0

    async def _refresh(self) -> Answer:
        """The answer, kept where it is a token. Raises `NoAnswer`."""
        assert self._held is not None
        answer = await ask(self._process, self._held.refresh)
        if answer.status == 200 and answer.headers["content-type"] == "application/json" and answer.body.endswith(b"}"):
            self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        found = json.loads(answer.body)
        refresh = found.get("refresh_token") or (self._held.refresh if self._held else "")
        self._save(Held(found["access_token"], refresh, self._wall() + found["expires_in"]))

    def _give_up(self) -> None:
        self._save(None)
        self._call_the_person()

    def _call_the_person(self) -> None:
        if self._call is not None and not self._called:
            self._called = True
            self._call(False)
            self._call(True)

    async def start(self) -> None:
        self._load()

    async def once(self) -> None:
        self._load()
        await self.token()

    async def quit(self) -> None:
        """They just end."""

    async def token(self) -> str | None:
        if self._held is None and self._machine.keyring_open:
            self._load()
            if self._held is None:  # another process of it has given up
                self._call_the_person()
        return self._held.access if self._held is not None else None

    async def signed_in(self, answer: Answer) -> None:
        self._keep(answer)
        self._called = False
        self._changed.set()

    async def before_sleep(self) -> None:
        """They do not listen."""

    def happened(self, what: str, signals: bool) -> None:  # noqa: FBT001 - the form of the callback
        """They do not listen."""


class FixedTick(Other):
    """A timer of 50 minutes."""

    name = "fixed tick"
    _failures = 0

    async def start(self) -> None:
        self._load()
        while True:
            await self._tick()
            await asyncio.sleep(TICK)

    async def once(self) -> None:
        self._load()
        await self._tick()

    async def _tick(self) -> None:
        if self._held is None or self._left() > ENDS_WITHIN:
            return
        before = self._held
        with suppress(NoAnswer):
            await self._refresh()
        if self._held is not before:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= STRIKES:
            self._failures = 0
            self._give_up()


class OnDemand(Other):
    """Refreshed when asked."""

    name = "on demand"
    _flight: asyncio.Task[None] | None = None

    async def token(self) -> str | None:
        if self._flight is None or self._flight.done():
            self._load()
            if self._held is None or self._left() > 0:
                return await super().token()
            self._flight = asyncio.ensure_future(self._once_more())
        await self._flight
        return self._held.access if self._held is not None and self._left() > 0 else None

    async def _once_more(self) -> None:
        try:
            answer = await self._refresh()
        except NoAnswer:
            return
        if answer.status == 400:
            self._give_up()


class EagerDaemon(Other):
    """Refreshed 90 s before its end."""

    name = "eager daemon"

    async def start(self) -> None:
        self._load()
        while True:
            if self._held is None:
                self._changed.clear()
                await self._changed.wait()
            await self._until_due()
            if self._held is not None:
                await self._try()

    async def once(self) -> None:
        """A client of the daemon: nothing of its own."""

    async def token(self) -> str | None:
        held = await super().token()
        return held if self._left() > 0 else None

    async def _until_due(self) -> None:
        while self._held is not None and self._left() > EAGER:
            self._changed.clear()
            try:
                async with asyncio.timeout(min(self._left() - EAGER, 37.0 * 60)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _try(self) -> None:
        before = self._held
        try:
            await self._refresh()
        except NoAnswer:
            await asyncio.sleep(AGAIN)
            return
        if self._held is before:
            self._give_up()
