"""One policy lives through one laptop-year: the events of the trace happen to its machine."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.simulation.asking import Asking
from tests.simulation.counts import Counts
from tests.simulation.lamplighter import Lamplighter
from tests.simulation.life import DAY, YEAR, Life
from tests.simulation.others import EagerDaemon, FixedTick, OnDemand
from tests.simulation.person import Person
from tests.simulation.program import Program
from tests.simulation.world import Machine, Process

SLEEP_WAITS = 5.0
"""Seconds that a system which tells of its sleep waits for its programs (logind's InhibitDelayMaxSec)."""
ENDING = 35.0
"""Seconds that a machine that is switched off gives its programs."""

Policy = Callable[..., Program]
POLICIES: dict[str, Policy] = {one.name: one for one in (Lamplighter, FixedTick, OnDemand, EagerDaemon)}


class Year:
    """Runs it and counts."""

    def __init__(self, life: Life, policy: Policy) -> None:
        self.counts = Counts()
        self.machine = Machine(life, self.counts)
        self._life = life
        self._policy = policy
        self._rng = Random(life.seed + 1_000_003)
        self._lid_open = self._wants_sleep = False
        self._network = "down"
        self._out_until = 0.0
        self._person = Person(self.machine, self._rng)
        self._on_ask = Asking(self.machine, self._person).ask
        self._returned_at: float | None = None
        self._awake_days: set[int] = set()
        self.machine.died = self._died
        self.machine.close_lid = self._close_lid
        self.machine.roam = self._roam
        self.machine.arrived = self._arrived

    def run(self, until: float = YEAR) -> Counts:
        """The year's figures."""
        deaths = [fault for fault in self._life.faults if fault[1] == "death"]
        trace = sorted((*self._life.events, *deaths), key=lambda event: event[0], reverse=True)
        self.machine.trace = [(at, getattr(self, f"_on_{kind}"), what) for at, kind, what in trace]
        self.machine.faults = [fault for fault in self.machine.faults if fault[1] != "death"]
        self.machine.run(until)
        for process in tuple(self.machine.processes):
            self.machine.kill(process)
        counts = self.counts
        counts.years, counts.days, counts.days_awake = 1, 365, len(self._awake_days)
        counts.strict = int(self._life.rules.rotation == "strict")
        counts.refreshes = self.machine.server.requests
        counts.close()
        return counts

    # -- power

    def _on_boot(self, wrong_clock: float) -> None:
        self.machine.wake()
        self._lid_open, self._wants_sleep = True, False
        self._awake_days.add(int(self.machine.now // DAY))
        if wrong_clock:
            self._on_clock(wrong_clock)
        self._start()
        if self.machine.server.grant is None:
            self._person.is_needed = True
            self._person.sign_in()

    def _on_off(self, _: object) -> None:
        self.machine.tell("switched off")
        self._lid_open = False
        if self.machine.awake and self.machine.applet is not None:
            self.machine.applet.start(self.machine.program.quit())
        self.machine.at(self.machine.now + ENDING, self._powered_off)

    def _powered_off(self) -> None:
        if not self._lid_open:
            if self.machine.applet is not None:
                self.machine.kill(self.machine.applet)
            self.machine.applet = self.machine.program = None
            self.machine.sleep()

    def _on_sleep(self, _: object) -> None:
        self._lid_open = self._wants_sleep = False
        self._network = "down"
        self._sleep()

    def _sleep(self) -> None:
        """The lid is closed. Where the system signals it, programs are waited for, but not for long."""
        self._wants_sleep = True
        if not self.machine.awake or self.machine.applet is None or not self._life.signals:
            self._asleep()
            return
        self.machine.applet.start(self._settles(self.machine.program))
        self.machine.at(self.machine.now + SLEEP_WAITS, self._asleep)

    async def _settles(self, program: Program) -> None:
        await program.before_sleep()
        self._asleep()

    def _asleep(self) -> None:
        if self.machine.awake and self._wants_sleep:
            self.machine.tell("sleeps")
            self.counts.suspends += 1
            self._returned_at = None
            self.machine.sleep()

    def _on_wake(self, _: object) -> None:
        self._lid_open = True
        self._awake_days.add(int(self.machine.now // DAY))
        self._wake()

    def _wake(self) -> None:
        if not self._lid_open:
            return
        self._wants_sleep = False
        if not self.machine.awake:
            self.machine.wake()
            self.machine.tell("wakes")
            self._happened("resume")
            self._set_network(self._network)
            if self.machine.applet is None and self.machine.now >= self._out_until:
                self._start()

    def _close_lid(self, seconds: float) -> None:
        self._sleep()
        self.machine.at(self.machine.now + seconds, self._wake)

    def _roam(self, seconds: float) -> None:
        self._set_network("down")
        self.machine.at(self.machine.now + seconds, self._arrives_elsewhere)

    def _arrives_elsewhere(self) -> None:
        if self.machine.awake:
            self._set_network(self._network)

    # -- processes

    def _start(self) -> None:
        if self.machine.applet is not None or not self.machine.awake:
            return
        self.machine.tell("the applet starts")
        self.machine.applet = self.machine.spawn()
        self.machine.program = self._policy(self.machine.applet, self._rng, self._calls)
        self.machine.applet.start(self.machine.program.start())

    def _end_second(self, process: Process) -> None:
        """In its own time: no excuse for what it has not stored, but a keyring that let nobody store it.

        Nor that, while the applet lives: it could have been told, and what it is then excused for is its own end.
        """
        now, machine = self.machine.now, self.machine
        if machine.applet is not None and machine.applet.alive:
            machine.applet.came += process.came
            process.came = []
        process.came = [token for token in process.came if machine.kept_out(token.reached_at or now, now)]
        machine.kill(process)

    def _on_crash(self, out_for: float) -> None:
        if self.machine.awake and self.machine.applet is not None:
            self.machine.tell("power is lost")
            self.machine.power_loss(out_for)

    def _on_death(self, how: tuple[str, float]) -> None:
        self.machine.death = how

    def _calls(self, shown: bool) -> None:  # noqa: FBT001 - the form of the callback
        self._returned_at = None
        self._person.called(shown)

    def _died(self, out_for: float) -> None:
        self.machine.applet = self.machine.program = None
        self._returned_at = None
        self._out_until = self.machine.now + out_for
        self.machine.at(self._out_until, self._start)

    def _on_second(self, dwell: float) -> None:
        if not self.machine.awake or self.machine.applet is None:
            return
        self.counts.second_processes += 1
        process = self.machine.spawn()
        program = self._policy(process, self._rng)

        async def live() -> None:
            await program.once()
            await program.quit()
            self._end_second(process)

        self.machine.tell("a second process asks" if not dwell else "a second one starts")
        if dwell:
            process.start(program.start())
            self.machine.at(self.machine.now + dwell, self._quit_second, process, program)
        else:
            process.start(live())

    def _quit_second(self, process: Process, program: Program) -> None:
        if not self.machine.awake:
            self.machine.at(self.machine.now + ENDING, self._quit_second, process, program)  # nothing ends in its sleep
        elif process.alive:
            process.start(program.quit())
            self.machine.at(self.machine.now + ENDING, self._end_second, process)

    # -- network, provider, clock, keyring

    def _on_network(self, state: str) -> None:
        self._network = state
        if state not in {"up", "down"}:
            self.counts.portals += 1
        if self.machine.awake:
            self._set_network(state)

    def _set_network(self, state: str) -> None:
        before = self.machine.network
        self.machine.set_network(state)
        if state == before:
            return
        self.machine.tell(f"network: {state}")
        self._returned_at = None
        if state == "up":
            self._back()
        if state != "down":
            self._happened("network")

    def _on_provider(self, state: tuple[str, Any]) -> None:
        self.machine.tell(f"provider: {state[0]} {state[1] or ''}")
        self.machine.set_provider(state)
        self.counts.outages += state[0] == "outage"
        self.counts.storms += state[0] == "storm"
        self._returned_at = None

    def _back(self) -> None:
        server = self.machine.server
        can = self.machine.provider[0] == "up" and server.grant is not None and not self._person.is_needed
        if can and not server.is_fresh(self.machine.now):
            self._returned_at = self.machine.now

    def _arrived(self) -> None:
        if self._returned_at is not None:
            self.counts.returned(self.machine.now - self._returned_at)
            self._returned_at = None

    def _on_clock(self, offset: float) -> None:
        self.machine.tell(f"the clock is set: {offset:+.0f} s off")
        self.machine.wall_offset = offset
        self.counts.clock_steps += 1
        self._happened("clock")

    def _on_keyring(self, state: str) -> None:
        self.machine.tell(f"keyring: {state}")
        self.machine.set_keyring(is_open=state == "open")

    def _happened(self, what: str) -> None:
        if self.machine.applet is not None and self.machine.awake:
            self.machine.applet.loop.call_soon(self.machine.program.happened, what, self._life.signals)
