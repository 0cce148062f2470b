"""One year in the life of a laptop, as a trace: made from its number alone, the same for every policy.

Events happen at their time. Faults are armed at their time and hit the first request to the provider after it, so
that every policy loses as many answers and dies in as many refreshes, whenever it asks. Times are seconds since the
year began, by a clock that is always right.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
YEAR = 365 * DAY

LIVES = {5 * MINUTE: 1, 15 * MINUTE: 3, 30 * MINUTE: 8, HOUR: 40, 2 * HOUR: 16, 4 * HOUR: 10, 8 * HOUR: 22}
"""Token lives, with how many years in a hundred have them."""

STEPS = ("lock", "read", "note", "send", "acted", "answer", "save", "saved", "noted")
"""Where a process can die in a refresh: before each of these, in order. `acted`: the provider has, unheard."""

PORTALS = ("page", "redirect", "forbidden", "proxy", "bad request", "certificate")
OUTAGES = ("500", "503", "gateway page", "refused", "silent", "busy")
Event = tuple[float, str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """The provider's, by which alone a sign-in ends."""

    rotation: str
    """`strict`: a refresh token serves once, a second use ends the grant; `grace`: for a while it serves again;
    `none`: it stays.
    """
    grace: float
    life: float
    idle: float | None
    absolute: float | None
    tells_end: bool


@dataclass(frozen=True, slots=True)
class Life:
    """A trace. `signals`: this machine's system tells of resume, network and clock."""

    seed: int
    rules: Rules
    signals: bool
    events: list[Event]
    faults: list[Event]


def life_of(seed: int) -> Life:
    """The year of this number; every second one is on strict rotation."""
    rng = Random(seed)
    rotation = ("strict", "grace", "strict", "none")[seed % 4]
    lives, weights = zip(*LIVES.items(), strict=True)
    rules = Rules(
        rotation,
        60.0 if rotation == "grace" else 0.0,
        rng.choices(lives, weights)[0],
        rng.choice((None, None, 7 * DAY, 14 * DAY, 30 * DAY)),
        rng.choice((None, None, 90 * DAY, 180 * DAY)),
        rng.random() < 0.5,
    )
    sessions = _sessions(rng)
    events = _power(rng, sessions)
    for start, end in sessions:
        events += _network(rng, start, end)
        events += _programs(rng, start, end)
    events += _provider(rng, sessions)
    events += _misfortunes(rng, sessions)
    events.sort(key=lambda event: event[0])
    return Life(seed, rules, rng.random() < 0.5, events, sorted(_faults(rng, sessions)))


def _sessions(rng: Random) -> list[tuple[float, float]]:
    """When the machine is awake: some hours a workday in pieces, now and then at the weekend, and holidays."""
    holidays: set[int] = set()
    for _ in range(3):
        first = rng.randrange(365)
        holidays.update(range(first, first + rng.randint(4, 18)))
    sessions: list[tuple[float, float]] = []
    for day in range(365):
        weekend = day % 7 >= 5
        if day and (day in holidays or (weekend and rng.random() < 0.5)):
            continue
        at = day * DAY + rng.uniform(7.5, 10.5) * HOUR
        for _ in range(1 if weekend else rng.randint(1, 4)):
            length = rng.uniform(15, 110) * MINUTE
            if at + length > (day + 1) * DAY - HOUR:
                break
            sessions.append((at, at + length))
            at += length + rng.choice((rng.uniform(20, 300), rng.uniform(5, 90) * MINUTE, rng.uniform(1, 4) * HOUR))
    return sessions


def _power(rng: Random, sessions: list[tuple[float, float]]) -> list[Event]:
    """Between two sessions the lid is closed; for some nights, and before the first, the machine is off."""
    events: list[Event] = [(sessions[0][0], "boot", None)]
    for (_, end), (start, _) in pairwise(sessions):
        if start - end > 6 * HOUR and rng.random() < 0.25:
            events += [(end, "off", None), (start, "boot", None)]
            if rng.random() < 0.1:  # its battery-backed clock is dead: 2020, until the network tells the time
                events[-1] = (start, "boot", -6 * 365 * DAY)
                events.append((start + rng.uniform(20, 200), "clock", 0.0))
        else:
            events += [(end, "sleep", None), (start, "wake", None)]
    return events


def _network(rng: Random, start: float, end: float) -> list[Event]:
    """A while until the network is there; maybe a captive portal first, maybe none at all; roaming drops."""
    kind = rng.choices(("home", "portal", "none", "roaming"), (88, 6, 1, 5))[0]
    up = start + rng.choice((rng.uniform(0.5, 4), rng.uniform(3, 30)))
    if kind == "none":
        return []
    events: list[Event] = []
    if kind == "portal":
        events.append((up, "network", rng.choice(PORTALS)))
        up += rng.uniform(0.5, 15) * MINUTE
    at = up
    while at < end:
        events.append((at, "network", "up"))
        at += rng.expovariate(1 / (15 * MINUTE if kind == "roaming" else 4 * HOUR)) + 2
        events.append((at, "network", "down"))
        at += 1 + rng.expovariate(1 / 20.0)
    return [event for event in events if event[1:] and event[0] < end]


def _programs(rng: Random, start: float, end: float) -> list[Event]:
    """Programs that ask for a token: some as soon as the machine wakes, the rest all day."""
    asks = [start + rng.uniform(1, 30) for _ in range(rng.choice((0, 0, 1, 2, 3)))]
    at = start + rng.expovariate(1 / (12 * MINUTE))
    while at < end:
        asks.append(at)
        at += rng.expovariate(1 / (12 * MINUTE))
    return [(at, "ask", None) for at in asks if at < end]


def _provider(rng: Random, sessions: list[tuple[float, float]]) -> list[Event]:
    """Outages and storms of 429, each beginning while somebody would notice, none within another."""
    wanted = [(at, "outage") for at in _moments(rng, sessions, rng.randint(27, 38))]
    wanted += [(at, "storm") for at in _moments(rng, sessions, rng.randint(10, 18))]
    events: list[Event] = []
    free_at = 0.0
    for at, kind in sorted(wanted):
        if at < free_at:
            at = free_at + MINUTE  # noqa: PLW2901 - one after the other, so that none gets lost
        if kind == "storm":
            length = rng.uniform(1, 30) * MINUTE
            state = ("storm", (rng.choice((None, "seconds", "date")), at + length))
        else:
            length = min(rng.lognormvariate(6, 1.3), 8 * HOUR) if rng.random() < 0.99 else rng.uniform(2, 7) * DAY
            state = ("outage", rng.choice(OUTAGES))
        events += [(at, "provider", state), (at + length, "provider", ("up", None))]
        free_at = at + length
    return events


def _misfortunes(rng: Random, sessions: list[tuple[float, float]]) -> list[Event]:
    """Crashes, clocks that are set, keyrings that lock, and second processes."""
    events: list[Event] = [(at, "crash", _out_for(rng)) for at in _moments(rng, sessions, rng.randint(3, 7))]
    for at in _moments(rng, sessions, rng.randint(6, 12)):
        far = rng.random() < 0.2
        step = rng.choice((-1, 1)) * (rng.uniform(1, 365) * DAY if far else rng.uniform(2, 7200))
        events += [
            (at, "clock", step),
            (at + rng.choice((rng.uniform(10, 600), rng.uniform(1, 48) * HOUR)), "clock", 0.0),
        ]
    for at in _moments(rng, sessions, rng.randint(4, 10)):
        events += [(at, "keyring", "locked"), (at + rng.uniform(0.2, 45) * MINUTE, "keyring", "open")]
    for at in _moments(rng, sessions, rng.randint(60, 120)):
        events.append((at, "second", 0.0 if rng.random() < 0.9 else rng.uniform(10, 120) * MINUTE))
    return events


def _faults(rng: Random, sessions: list[tuple[float, float]]) -> list[Event]:
    """What befalls single requests: they or their answers are lost, lids are closed, processes die."""
    faults: list[Event] = [(at, "lost", _loss(rng)) for at in _moments(rng, sessions, rng.randint(66, 80))]
    faults += [
        (at, "unsent", (rng.choice(("roaming", "reset")), rng.uniform(2, 40))) for at in _moments(rng, sessions, 20)
    ]
    for at in _moments(rng, sessions, 6):
        faults.append((at, "lid", rng.choice((rng.uniform(5, 50), rng.uniform(1, 600) * MINUTE))))
    for number, at in enumerate(_moments(rng, sessions, rng.randint(13, 17))):
        faults.append((at, "death", (rng.choice(STEPS[2:] if number < 9 else STEPS), _out_for(rng))))
    return faults


def _loss(rng: Random) -> tuple[str, float]:
    """How an answer gets lost; `roaming` takes the network away for so many seconds, and nobody is told of the end
    of what was under way.
    """
    return rng.choice(("roaming", "reset", "torn", "gateway gave up")), rng.uniform(2, 40)


def _out_for(rng: Random) -> float:
    """Seconds until a process that died is started again: at once by the desktop, or after a reboot, or a charger."""
    return rng.choice((2.0, rng.uniform(20, 120), rng.uniform(2, 60) * MINUTE))


def _moments(rng: Random, sessions: list[tuple[float, float]], number: int) -> list[float]:
    return [rng.uniform(*rng.choice(sessions[:-3])) for _ in range(number)]
