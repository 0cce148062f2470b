"""A life that a test writes itself, event by event, instead of drawing it: everything is well but what it names."""

from __future__ import annotations

from tests.simulation.counts import Counts
from tests.simulation.life import DAY, HOUR, Event, Life, Rules
from tests.simulation.replay import told

STRICT = Rules("strict", 0.0, HOUR, None, None, tells_end=False)
START = 8 * HOUR


def scene(*events: Event, faults: list[Event] | None = None, rules: Rules = STRICT, signals: bool = False) -> Life:
    """A machine that is switched on at eight, online at once, and then on for a week."""
    begun = [(START, "boot", None), (START + 1, "network", "up")]
    return Life(0, rules, signals, sorted([*begun, *events], key=lambda event: event[0]), faults or [])


def asks(since: float, until: float, every: float = 300.0) -> list[Event]:
    """Programs that ask for a token."""
    return [(since + every * number, "ask", None) for number in range(int((until - since) / every))]


def played(life: Life, policy: str, days: float = 3) -> tuple[list[str], Counts]:
    """The story of the days, and what was counted."""
    return told(life, policy, days * DAY)


def cost(life: Life, policy: str, days: float = 3) -> tuple[int, int]:
    """Needless sign-ins, and token requests that should have been answered and were not."""
    _, counts = played(life, policy, days)
    return sum(counts.needless.values()), counts.asked - counts.answered
