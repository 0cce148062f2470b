"""The way from a process to the provider: what is on it, and what a request meets there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

from tests.simulation.provider import RefreshToken
from tests.simulation.world import BEGAN, Machine, Process
from tray_app.core.provider_errors import Answer

WAY = 0.06
"""Seconds in one direction."""
SPARED = 60.0
"""Seconds from one misfortune of a request to the next at the least."""
DEADLINE = 30.0
"""After which a client gives up on an answer, and what connecting may take of it."""
CONNECTING = 10.0

HTML = {"content-type": "text/html; charset=utf-8"}
_PAGE = b"<!doctype html><title>Welcome</title><form action=/login></form>"
PAGES = {
    "page": Answer(200, HTML, _PAGE),
    "redirect": Answer(302, {"location": "http://portal.example/"}, b""),
    "forbidden": Answer(403, HTML, _PAGE),
    "proxy": Answer(407, HTML, _PAGE),
    "bad request": Answer(400, HTML, _PAGE),
    "500": Answer(500, HTML, _PAGE),
    "503": Answer(503, HTML, _PAGE),
    "gateway page": Answer(502, HTML, _PAGE),
    "gateway gave up": Answer(504, HTML, _PAGE),
    "busy": Answer(400, {"content-type": "application/json"}, b'{"error": "temporarily_unavailable"}'),
}


class NoAnswer(Exception):
    """`sent`: the request went out, so the provider may have acted on it. `offline`: there was no network at all."""

    def __init__(self, why: str, *, sent: bool, certificate: bool = False, offline: bool = False) -> None:
        super().__init__(why)
        self.sent = sent
        self.certificate = certificate
        self.offline = offline


async def ask(process: Process, refresh_token: str, patience: float = DEADLINE, moved: float | None = None) -> Answer:
    """What comes back for a refresh request. Raises `NoAnswer`.

    `patience` is how long the client waits on a connection that is dead: to the deadline, or until the kernel's
    keep-alive probes tell. `moved`: it looks whether the machine is in another network by now, so often.
    """
    process.step("send")
    machine = process.machine
    if machine.network == "down":
        raise NoAnswer("no DNS", sent=False, offline=True)
    machine.counts.requests += 1
    if machine.network != "up":
        portal = machine.network
        await asyncio.sleep(WAY)
        return _page_of(portal)
    request = _Request(process, refresh_token, patience, moved)
    machine.at(machine.now + WAY, request.arrives)
    return await request.answered


class _Request:
    """One request under way: it arrives whether the machine sleeps or not; its answer needs it awake and connected."""

    def __init__(self, process: Process, refresh_token: str, patience: float, moved: float | None) -> None:
        self._process = process
        self._machine = process.machine
        self._token = refresh_token
        self._link = process.machine.link
        self._patience = patience
        self._moved = moved
        self._lost_token: RefreshToken | None = None
        self._deadline = process.loop.time() + patience
        self.answered: asyncio.Future[Answer] = process.loop.create_future()

    def arrives(self) -> None:
        machine, process = self._machine, self._process
        if not process.alive:
            return
        kind, how = machine.provider
        if self._link != machine.link:
            self._lost("reset" if machine.network == "up" else "silence", None)
        elif kind == "storm":
            self._answer(_wait(machine, how), None)
        elif kind == "outage":
            self._outage(how)
        else:
            self._reaches_the_server()

    def _outage(self, how: str) -> None:
        if how in PAGES:
            self._answer(PAGES[how], None)
        elif how == "refused":
            self._fail(NoAnswer("connection refused", sent=False), 0.0)
        else:
            self._fail(NoAnswer("no connection in time", sent=False), CONNECTING)

    def _reaches_the_server(self) -> None:
        machine, process = self._machine, self._process
        fault, how = "", None
        if machine.faults and max(machine.faults[-1][0], machine.spared_until) <= machine.now:
            _, fault, how = machine.faults.pop()
            machine.spared_until = machine.now + SPARED
        if fault == "unsent":
            machine.counts.requests_lost += 1
            machine.tell(f"the request is lost on its way ({how[0]})")
            self._lost_by(*how, None)
            return
        answer, token = machine.server.refresh(self._token, machine.now)
        if not process.survives("acted"):
            if token is not None:
                token.lost_by = "crash"
            return
        if fault == "lost":
            machine.tell(f"the provider has answered, and the answer is lost ({how[0]})")
            self._lost_by(*how, token)
            return
        if fault == "lid":
            machine.tell(f"the lid is closed while the answer is under way, for {how:.0f} s")
            machine.close_lid(how)
        self._answer(answer, token)

    def _answer(self, answer: Answer, token: RefreshToken | None) -> None:
        self._machine.at(self._machine.now + WAY, self._comes_back, answer, token)

    def _comes_back(self, answer: Answer, token: RefreshToken | None) -> None:
        machine, process = self._machine, self._process
        if not process.alive:
            if token is not None:
                token.lost_by = "crash"
        elif self._link != machine.link:
            self._lost("reset" if machine.network == "up" else "silence", token)
        else:
            if token is not None:
                machine.server.reached(token, machine.now)
                process.came.append(token)
                machine.arrived()
            if process.survives("answer"):
                self.answered.set_result(answer)

    def _lost_by(self, how: str, away: float, token: RefreshToken | None) -> None:
        if how == "roaming":
            self._machine.roam(away)
            how = "silence"
        self._lost(how, token)

    def _lost(self, how: str, token: RefreshToken | None) -> None:
        """Nothing comes back, or not what was sent: noticed at once, or when the client's patience is over."""
        machine = self._machine
        self._lost_token = token
        if how == "silence" and self._moved is not None:
            machine.silent.append(self.is_elsewhere)
        if token is not None:
            machine.counts.answers_lost += 1
            token.noticed_at = machine.now + (self._patience if how == "silence" else WAY)
        if how in PAGES:
            machine.at(machine.now + WAY, self._finish, PAGES[how])
        else:
            after = self._deadline - self._process.loop.time() if how == "silence" else 0.0
            self._fail(NoAnswer("no answer in time" if after else "connection reset", sent=True), after)

    def _fail(self, error: NoAnswer, after: float) -> None:
        self._process.loop.call_later(max(after, 0.0), self._finish, error)

    def is_elsewhere(self) -> None:
        """The machine has come into another network: this connection stays silent for ever."""
        assert self._moved is not None
        if self._lost_token is not None:
            self._lost_token.noticed_at = min(self._lost_token.noticed_at, self._machine.now + self._moved)
        if self._process.alive:
            self._fail(NoAnswer("no answer in time", sent=True), self._moved)

    def _finish(self, end: Answer | NoAnswer) -> None:
        if self.answered.done() or not self._process.alive:
            return
        if isinstance(end, NoAnswer):
            self.answered.set_exception(end)
        else:
            self.answered.set_result(end)


def _wait(machine: Machine, how: tuple[str | None, float]) -> Answer:
    """The answer of a provider that is asked too often, with its `Retry-After` in one of its three dialects."""
    how, until = how
    left = max(1.0, until - machine.now)
    date = format_datetime(BEGAN + timedelta(seconds=machine.now), usegmt=True)
    headers = {"content-type": "application/json", "date": date}
    if how == "seconds":
        headers["retry-after"] = str(int(left) + 1)
    elif how == "date":
        headers["retry-after"] = format_datetime(BEGAN + timedelta(seconds=machine.now + left), usegmt=True)
    return Answer(429, headers, b'{"error": {"type": "rate_limit_error", "message": "slow down"}}')


def _page_of(portal: str) -> Answer:
    if portal == "certificate":
        raise NoAnswer("the certificate does not verify", sent=False, certificate=True)
    return PAGES[portal]
