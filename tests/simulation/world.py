"""A machine in its world: true time, a wall clock that may be wrong, power, network, keyring, and its processes.

`World` owns the true time and everything that happens at a moment of it. A `Process` is an event loop with a life: it
runs while the machine is awake, and when it is killed nothing of it runs on.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.counts import Counts
from tests.simulation.life import STEPS, Life
from tests.simulation.loop import Loop
from tests.simulation.provider import AuthorizationServer, RefreshToken
from tests.simulation.times import NEVER, Times

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
OFTEN = 300.0
"""Seconds: a locked keyring asks the person each time that it is wanted, and nobody may want it more often."""
_TICK = 1e-6
"""No two moments are nearer: what a float cannot tell apart would never come."""


class Killed(BaseException):
    """The process dies here. Not an Exception: nothing catches its own death."""


class Process:
    """One process on the machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.loop = Loop(machine.monotonic)
        self.born = machine.now
        self.could_read = machine.keyring_open
        """The keyring was open at some moment of its life."""
        self.alive = True
        self.came: list[RefreshToken] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.loop.create_task(work)

    def step(self, name: str) -> None:
        """Dies here, if that is its fate."""
        if not self.alive or (self.machine.death is not None and self.machine.dies(name)):
            raise Killed

    def survives(self, name: str) -> bool:
        """The same for what happens outside its coroutines."""
        return not (self.machine.death is not None and self.machine.dies(name))


class Machine:
    """What a policy's program finds: clocks, network, store; and what befalls it."""

    now = 0.0
    awake = False
    network = "down"
    link = 0
    """Raised whenever what was under way on the network is cut off."""
    provider: tuple[str, Any] = ("up", None)
    wall_offset = 0.0
    keyring_open = True
    death: tuple[str, float] | None = None
    """The step of a refresh at which the processes will die, and for how long they will be gone."""
    spared_until = 0.0
    """One misfortune at a time: those that wait for a request do not all hit the next ones in a row."""
    applet: Process | None = None
    program: Any = None
    """The policy's program in it."""
    story: Callable[[str], None] | None = None

    def __init__(self, life: Life, counts: Counts) -> None:
        self.life = life
        self.counts = counts
        self.server = AuthorizationServer(life.rules, self.reach)
        self.server.kept_out, self.server.reachable_anew = self.kept_out, self.reach_anew
        self.trace: list[tuple[float, Callable[[Any], None], Any]] = []
        """What will happen, the last first."""
        self.faults = list(reversed(life.faults))
        self.processes: list[Process] = []
        self.silent: list[Callable[[], None]] = []
        """To be called when the machine comes into another network: requests that will hear nothing any more."""
        self.locks: dict[str, Process] = {}
        self.stored: dict[str, Any] = {}
        """What survives a process: the keyring's contents and the facts, by whatever key a policy likes."""
        self.died: Callable[[float], None] = lambda _out_for: None
        self.close_lid: Callable[[float], None] = lambda _for: None
        self.roam: Callable[[float], None] = lambda _for: None
        self.arrived: Callable[[], None] = lambda: None
        """Called when new tokens have reached a process."""
        self._slept = self._fell_asleep = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._reachable, self._askable, self._locked, self._usable = Times(), Times(), Times(), Times()
        self._wall: tuple[float, float, datetime] = (-1.0, 0.0, BEGAN)

    # -- time

    def monotonic(self) -> float:
        """Seconds awake."""
        return self.now - self._slept

    def wall(self) -> datetime:
        """What the clock of the machine says."""
        now, offset, wall = self._wall
        if now != self.now or offset != self.wall_offset:
            wall = BEGAN + timedelta(seconds=self.now + self.wall_offset)
            self._wall = self.now, self.wall_offset, wall
        return wall

    def at(self, moment: float, happen: Callable[..., None], *args: Any) -> None:
        """Lets it happen at that time, whether anyone is awake or not."""
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, happen, args))

    def run(self, until: float) -> None:
        """Lets time pass: the machine's processes run, and what has its moment happens."""
        while True:
            timer = self._run_processes() if self.awake else NEVER
            moment = self._next_moment()
            if timer >= until <= moment:
                break
            if timer < moment:
                self.now = max(timer, self.now + _TICK)
                continue
            self.now = max(self.now, moment)
            if self.trace and self.trace[-1][0] <= moment:
                _, happen, what = self.trace.pop()
                happen(what)
            else:
                _, _, happen, args = heapq.heappop(self._events)
                happen(*args)
        self.now = until
        self._note_reach()

    def _next_moment(self) -> float:
        events, trace = self._events, self.trace
        moment = events[0][0] if events else NEVER
        return trace[-1][0] if trace and trace[-1][0] < moment else moment

    def _run_processes(self) -> float:
        """Runs what is due in them and tells when the next timer of any is, if the machine stays awake until then."""
        for process in tuple(self.processes):
            process.loop.run()
        if not self.awake:
            return NEVER
        first = NEVER
        for process in self.processes:
            due = process.loop.next_at()
            if due is not None and due < first:
                first = due
        return first + self._slept

    # -- power, network, clock, keyring

    def wake(self) -> None:
        if not self.awake:
            self.awake = True
            self._slept += self.now - self._fell_asleep
            self._note_reach()
            self._note_usable()

    def sleep(self) -> None:
        if self.awake:
            self.awake = False
            self._fell_asleep = self.now
            self._note_usable()
            self.set_network("down")

    def set_network(self, state: str) -> None:
        if state != self.network:
            self.network = state
            if state != "down":
                silent, self.silent = self.silent, []
                for is_elsewhere in silent:
                    is_elsewhere()
            self.link += 1
            self._note_reach()

    def set_provider(self, state: tuple[str, Any]) -> None:
        self.provider = state
        self._note_reach()

    def set_keyring(self, *, is_open: bool) -> None:
        self.keyring_open = is_open
        self._locked.note(self.now, is_so=not is_open)
        for process in self.processes:
            process.could_read |= is_open
        self._note_usable()
        self._note_reach()

    def locked(self, since: float, until: float) -> bool:
        """Whether the keyring was locked all that time."""
        return self._locked.all_along(since, until)

    def kept_out(self, since: float, until: float) -> bool:
        """Whether the keyring was locked at that moment, and open to an awake machine for less than 5 minutes since."""
        return self.locked(since, since) and self._usable.within(since, until)[1] < OFTEN

    # -- processes

    def spawn(self) -> Process:
        process = Process(self)
        self.processes.append(process)
        self._note_reach()
        return process

    def kill(self, process: Process) -> None:
        """Without a word to anybody; the kernel takes its locks."""
        if process.alive:
            process.alive = False
            self.counts.unforeseen += len(process.loop.unforeseen)
            for what in process.loop.unforeseen:
                self.tell(f"UNFORESEEN: {what}")
            process.loop.kill()
            self.processes.remove(process)
            for name in [name for name, holder in self.locks.items() if holder is process]:
                del self.locks[name]
            for token in process.came:
                token.killed_at = self.now
            self._note_reach()

    def dies(self, step: str) -> bool:
        """Whether death was waiting for this step, or for one before it that this policy does not take."""
        if self.death is None or STEPS.index(step) < STEPS.index(self.death[0]):
            return False
        out_for, self.death = self.death[1], None
        if STEPS.index(step) >= STEPS.index("note"):
            self.counts.deaths_in_refresh += 1
        self.tell(f"power is lost in a refresh, before `{step}`")
        self.power_loss(out_for)
        return True

    def power_loss(self, out_for: float) -> None:
        """Every process dies, and `out_for` seconds later the machine is back."""
        self.counts.deaths += 1
        for process in list(self.processes):
            self.kill(process)
        self.died(out_for)

    # -- what the oracle knows

    def can_reach(self) -> bool:
        """Whether a program that asks the provider now is answered."""
        return self.awake and self.network == "up" and self.provider[0] == "up" and bool(self.processes)

    def reach(self, since: float, until: float) -> tuple[float, float]:
        """The longest and the whole time within these moments in which the provider could be reached."""
        return self._reachable.within(since, min(until, self.now))

    def reach_anew(self, since: float, until: float) -> tuple[float, float]:
        """The same, of the time in which a living process had been able to read the keyring."""
        return self._askable.within(since, min(until, self.now))

    def _note_reach(self) -> None:
        self._reachable.note(self.now, is_so=self.can_reach())
        self._askable.note(self.now, is_so=self.can_reach() and any(one.could_read for one in self.processes))

    def _note_usable(self) -> None:
        self._usable.note(self.now, is_so=self.awake and self.keyring_open)

    def tell(self, what: str) -> None:
        """A line of the story, where one is wanted."""
        if self.story is not None:
            self.story(what)
