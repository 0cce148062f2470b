"""What is counted in a laptop-year; years add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, Self

BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 86400)
"""Seconds up to which the returns of a network to fresh are told apart."""


@dataclass
class Counts:
    """One policy's figures over some years. `least` holds the smallest of each count that every year must reach."""

    years: int = 0
    strict: int = 0
    suspends: int = 0
    answers_lost: int = 0
    requests_lost: int = 0
    outages: int = 0
    storms: int = 0
    deaths: int = 0
    deaths_in_refresh: int = 0
    clock_steps: int = 0
    portals: int = 0
    second_processes: int = 0
    days: int = 0
    days_awake: int = 0
    requests: int = 0
    refreshes: int = 0
    sign_ins: int = 0
    needless: Counter[str] = field(default_factory=Counter)
    unavoidable: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    answered: int = 0
    asked_in_vain: int = 0
    """Requests while the provider could not be reached, or the sign-in was over by its rule: nobody could answer."""
    misses: Counter[str] = field(default_factory=Counter)
    notifications: int = 0
    """Incidents that were shown."""
    shown_after_restart: int = 0
    shown_more: int = 0
    """More than once by one process: this must not be."""
    returns: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    unforeseen: int = 0
    least: dict[str, int] = field(default_factory=dict)

    def add(self, other: Self) -> None:
        """Adds the figures of other years."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if one.name == "least":
                for name, number in theirs.items():
                    mine[name] = min(mine.get(name, number), number)
            elif isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, one.name, mine + theirs)

    def close(self) -> None:
        """The year is over: its counts are the least that were seen so far."""
        names = ("suspends", "answers_lost", "outages", "deaths_in_refresh")
        self.least = {name: getattr(self, name) for name in names}

    def returned(self, after: float) -> None:
        """A network that came back was followed by a fresh token after so many seconds."""
        self.returns[str(next((bucket for bucket in BUCKETS if after <= bucket), "more"))] += 1
        self.seconds += after

    def as_json(self) -> dict[str, Any]:
        """For a line of the results file."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in found.items()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """The counts of such a line."""
        made = cls(**found)
        for one in fields(cls):
            if isinstance(getattr(cls(), one.name), Counter):
                setattr(made, one.name, Counter(getattr(made, one.name)))
        return made
