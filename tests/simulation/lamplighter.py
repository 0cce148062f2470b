"""Our policy: the real engine, refresher, plan and incidents on a simulated machine. Only what is around is virtual."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import datetime
from random import Random

from tests.simulation.parts import parts_of
from tests.simulation.world import Process
from tray_app.adapters.oauth.token_response import token_answer
from tray_app.core.account import Account, Configuration
from tray_app.core.errors import LamplighterError
from tray_app.core.events import Event, HealthChanged
from tray_app.core.health import Health
from tray_app.core.ports import Notification
from tray_app.core.provider_errors import Answer
from tray_app.core.tokens import merged
from tray_app.engine.engine import Engine
from tray_app.engine.scheduler import HEARTBEAT
from tray_app.interfaces.notifications.incidents import Incidents, NeverQuiet

NAME = "work"
ACCOUNT = Account(NAME, client_id="tray", issuer="https://login.example.com", scopes=("openid", "offline_access"))
CONFIGURATION = Configuration({NAME: ACCOUNT})
BEAT = HEARTBEAT.total_seconds()


class BeatingPlan:
    """Looks when the scheduler would: at each planned moment, and at heartbeats, of which those are left out at which
    nothing can have become due: the next planned moment is known, and `astir` tells of everything that may move it.
    """

    def __init__(self, look: Callable[[], datetime | None], process: Process) -> None:
        self._look = look
        self._loop = process.loop
        self._wall = process.machine.wall
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    def start(self) -> None:
        self._running = True
        self._look_now()

    def plan(self, moment: datetime | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if moment is not None and self._running:
            after = (moment - self._wall()).total_seconds()
            self._timer = self._loop.call_later(max(after, 0.0) + 1e-5, self._look_now)

    def stop(self) -> None:
        self._running = False
        self.plan(None)

    def astir(self) -> None:
        """Something has changed that no timer knows of: the next heartbeat looks."""
        beats = math.floor((self._loop.time() - self._began) / BEAT) + 1
        self._loop.call_at(self._began + beats * BEAT, self._look_now)

    def _look_now(self) -> None:
        if self._running:
            self.plan(self._look())


class Lamplighter:
    """The applet, or with `call` left out a command without one."""

    name = "Lamplighter"

    def __init__(self, process: Process, rng: Random, call: Callable[[bool], None] | None = None) -> None:
        """`call(shown)` tells that only the person can help: first as it is so, then as it is shown."""
        self._call = call
        self._plan: BeatingPlan | None = None
        self._process = process
        parts = parts_of(process, rng)
        self._clock = parts.clock
        self.engine = Engine(CONFIGURATION, lambda _: parts, prepare=None, make_plan=self._make_plan)  # type: ignore[arg-type]
        if call is not None:
            self._incidents = Incidents(
                self,
                NeverQuiet(),
                parts.clock,
                sign_in=lambda _name: None,
                later_until=lambda name: self.engine.account(name).notes.later_until,
                set_later=lambda _name, _until: None,
                call_later=process.loop.call_later,
            )
            self.engine.events.call(self._happened)
            self.engine.scheduler.looked = self._incidents.tick

    def _make_plan(self, look: Callable[[], datetime | None], _clock: object) -> BeatingPlan:
        self._plan = BeatingPlan(look, self._process)
        return self._plan

    # -- what the machine does with it

    async def start(self) -> None:
        await self.engine.start()

    async def once(self) -> None:
        """What `lamplighter token` does where no applet runs."""
        await self.engine.load()
        await self.token()

    async def quit(self) -> None:
        await self.engine.stop()

    async def token(self) -> str | None:
        try:
            tokens = await self.engine.token(NAME)
        except LamplighterError:
            return None
        return tokens.access_token.reveal()

    async def signed_in(self, answer: Answer) -> None:
        found = token_answer(answer, self._clock.now())
        assert found is not None
        tokens = merged(None, found, requested_scopes=ACCOUNT.scopes, bound_to=ACCOUNT.bound_to)
        await self.engine.account(NAME).signed_in(tokens)

    def happened(self, what: str, signals: bool) -> None:  # noqa: FBT001 - the form of the callback
        """Resume, network or clock, told by a system that signals it, or else found by a heartbeat."""
        if self._plan is not None:
            self._plan.astir()
            if signals:
                self._process.start(self.engine.system_state.happened(what))

    async def before_sleep(self) -> None:
        await self.engine.system_state.happened("suspend")

    # -- what it tells

    def _happened(self, event: Event) -> None:
        if isinstance(event, HealthChanged):
            health = event.status.health
            if health is Health.SIGN_IN_NEEDED and self._call is not None:
                self._call(False)
            self._incidents.health_changed(NAME, health, event.reason or "")

    has_actions = True

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        """The notifier's port."""
        if self._call is not None and notification.key.startswith("sign-in"):
            self._call(True)
        return True

    async def withdraw(self, key: str) -> None:
        """Nothing is left on the screen."""

    async def close(self) -> None:
        """Nothing is left on the screen."""
