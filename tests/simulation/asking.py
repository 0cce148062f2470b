"""Programs that ask for a token, and what of that counts: a valid one within 2 s, while the provider can be reached."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.person import Person
from tests.simulation.program import Program
from tests.simulation.world import Machine, Process

IN_TIME = 2.0
TO_FIND_OUT = 60.0
"""Seconds of reaching the provider within which a program has to call for the person once a sign-in is over."""


@dataclass(slots=True)
class Ask:
    """A program has asked for a token."""

    at: float
    process: Process
    link: int
    grant: object
    got: str | None = None
    took: float | None = None


class Asking:
    """Asks, and judges what came of it two seconds later."""

    def __init__(self, machine: Machine, person: Person) -> None:
        self._machine = machine
        self._counts = machine.counts
        self._person = person

    def ask(self, _: object) -> None:
        """One of them wants a token now."""
        if not self._machine.awake:
            return
        if self._machine.applet is None:
            self._counts.asked_in_vain += 1
            return
        machine = self._machine
        ask = Ask(machine.now, machine.applet, machine.link, machine.server.grant)
        machine.applet.loop.begin(self._asks(ask, machine.program))
        if (
            ask.took is not None
            and ask.got is not None
            and machine.can_reach()
            and machine.server.honours(ask.got, ask.at)
        ):
            self._counts.asked += 1
            self._counts.answered += 1
            return
        machine.at(machine.now + IN_TIME + 0.001, self._judge, ask, machine.can_reach(), machine.provider)

    async def _asks(self, ask: Ask, program: Program) -> None:
        ask.got = await program.token()
        ask.took = self._machine.now - ask.at

    def _judge(self, ask: Ask, could: bool, provider: object) -> None:  # noqa: FBT001 - it is what it is
        machine, server = self._machine, self._machine.server
        in_time = ask.took is not None and ask.took <= IN_TIME
        good = in_time and ask.got is not None and server.honours(ask.got, ask.at + (ask.took or 0.0))
        could = could and machine.can_reach() and ask.link == machine.link and provider is machine.provider
        if good and could:
            self._counts.asked += 1
            self._counts.answered += 1
            return
        if not could or not ask.process.alive or machine.locked(ask.process.born, machine.now) or self._was_over(ask):
            self._counts.asked_in_vain += 1
            return
        self._counts.asked += 1
        why = "late" if not in_time else "none" if ask.got is None else "ended"
        self._counts.misses[why] += 1
        machine.tell(f"MISS: a program was not answered with a valid token ({why})")

    def _was_over(self, ask: Ask) -> bool:
        """The sign-in was over by the provider's rule: nobody could have answered before the person had signed in."""
        server = self._machine.server
        if self._person.is_needed or server.grant is not ask.grant:
            return self._person.excused
        if not self._machine.keyring_open and not server.is_fresh(ask.at) and server.over_since(self._machine.now):
            return True  # whoever signs in now cannot keep it
        since = server.over_since(self._machine.now)
        if server.is_fresh(ask.at) or since is None:
            return False
        return self._machine.reach(since, self._machine.now)[0] < TO_FIND_OUT
