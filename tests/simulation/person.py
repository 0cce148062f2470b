"""The person: called by a program, they sign in as soon as they can. The oracle says whether the call was needless."""

from __future__ import annotations

from random import Random

from tests.simulation.life import DAY
from tests.simulation.program import Program
from tests.simulation.world import Machine, Process
from tray_app.core.provider_errors import Answer

REACTION = 300.0
"""Seconds, on average, from the notification to the sign-in."""
LOOKS_AGAIN = 300.0
KEEPS_TRYING = 600.0


class Person:
    """Has one account, and one sign-in at a time to care for."""

    def __init__(self, machine: Machine, rng: Random) -> None:
        self.is_needed = False
        self.excused = True
        """The last call was not needless."""
        self._machine = machine
        self._rng = rng
        self._shown_by: list[Process | None] = []

    def called(self, shown: bool) -> None:  # noqa: FBT001 - the form of the callback
        """Only the person can help: first it is so, then it is shown."""
        machine, counts = self._machine, self._machine.counts
        if not self.is_needed:
            self.is_needed = True
            self._shown_by = []
            needless, why = machine.server.blames(machine.now)
            self.excused = not needless
            counts.sign_ins += 1
            (counts.needless if needless else counts.unavoidable)[why] += 1
            machine.tell(f"{'NEEDLESS' if needless else 'unavoidable'} sign-in: {why}")
            machine.at(machine.now + DAY, self.sign_in)  # whether it was shown or not, it is seen some day
        if shown:
            self._is_shown()

    def sign_in(self) -> None:
        """As soon as that can be done."""
        machine = self._machine
        if not self.is_needed:
            return
        if not machine.can_reach() or not machine.keyring_open or machine.applet is None:
            machine.at(machine.now + LOOKS_AGAIN, self.sign_in)
            return
        answer, token = machine.server.sign_in(machine.now)
        machine.applet.came.append(token)
        machine.applet.start(self._signs_in(machine.program, answer))
        machine.at(machine.now + KEEPS_TRYING, self.sign_in)  # once more, where it cannot be kept

    async def _signs_in(self, program: Program, answer: Answer) -> None:
        await program.signed_in(answer)
        self._machine.tell("the person has signed in")
        self.is_needed = False

    def _is_shown(self) -> None:
        machine, counts = self._machine, self._machine.counts
        if machine.applet in self._shown_by:
            machine.tell("MORE: the same is shown again")
            counts.shown_more += 1
        elif self._shown_by:
            counts.shown_after_restart += 1
        else:
            counts.notifications += 1
            machine.at(machine.now + self._rng.expovariate(1 / REACTION) + 5, self.sign_in)
        self._shown_by.append(machine.applet)
