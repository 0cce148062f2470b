"""The story of one year: what happened, what the lamp's log said to it, and what was counted."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from tests.simulation.counts import Counts
from tests.simulation.life import YEAR, Life, life_of
from tests.simulation.world import BEGAN
from tests.simulation.year import POLICIES, Year


def told(life: Life, policy: str, until: float = YEAR) -> tuple[list[str], Counts]:
    """Its lines, each with the true time, and the figures."""
    lines: list[str] = []
    year = Year(life, POLICIES[policy])
    machine = year.machine

    def tell(what: str) -> None:
        moment = BEGAN + timedelta(seconds=machine.now)
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} {what}")

    class Log(logging.Handler):
        def emit(self, record: Any) -> None:
            tell(f"  {record.getMessage()}")

    log, handler = logging.getLogger("lamplighter"), Log()
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    machine.story = tell
    try:
        return lines, year.run(until)
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def replay(seed: int, policy: str) -> None:
    """Prints it."""
    life = life_of(seed)
    lines, counts = told(life, policy)
    print("\n".join([f"Year {seed}, {policy}: {life.rules}", *lines]))
    print({name: value for name, value in counts.as_json().items() if value})
