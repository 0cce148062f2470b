"""The engine's plan on a clock that is moved by hand: time passes when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from tests.integration.hostile_server import HandClock
from tray_app.engine.scheduler import HEARTBEAT


class HandPlan:
    """Looks at each heartbeat and at each planned moment, as the scheduler does, while `pass_by` moves the clock."""

    def __init__(self, look: Callable[[], datetime | None], clock: HandClock) -> None:
        self._look = look
        self._clock = clock
        self.moment: datetime | None = None
        self.running = False

    def start(self) -> None:
        self.running = True
        self.plan(self._look())

    def plan(self, moment: datetime | None) -> None:
        self.moment = moment

    def stop(self) -> None:
        self.running = False

    async def pass_by(self, time: timedelta, settled: Callable[[], bool]) -> None:
        """Lets the time pass; each look's work is done before time goes on."""
        end = self._clock.time + time
        while self._clock.time < end and self.running:
            beat = min(self._clock.time + HEARTBEAT, end)
            planned = self.moment if self.moment is not None and self.moment > self._clock.time else beat
            self._clock.time = min(beat, planned)
            self.plan(self._look())
            await asyncio.sleep(0)
            while not settled():  # noqa: ASYNC110 - the work is real HTTP, which no event of ours tells of
                await asyncio.sleep(0.001)
            for _ in range(3):  # what the work's end has set off in the loop: the next plan
                await asyncio.sleep(0)
