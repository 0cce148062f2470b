"""A hundred thousand lamps that a power cut restarts together, against one provider that cannot serve them at once.

The plan's real functions say when each lamp asks: with their spread and back-off, and for comparison without either:
refreshed at one fixed time before the end, and tried again every second.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from tray_app.core.account import RefreshPolicy, RetryPolicy
from tray_app.core.provider_errors import Failure, FailureKind
from tray_app.core.schedule import refresh_due, retry_due
from tray_app.core.tokens import Secret, TokenSet

LAMPS = 100_000
CAPACITY = 1000
"""Refreshes that the provider can serve in a second; to more it says 503."""
BOOT, BOOT_SPREAD = 60.0, 10.0
"""Seconds from the power's return to the lamp's start, and their standard deviation."""
LIFE = timedelta(hours=1)
UNTIL = 2.2 * 3600
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Fleet:
    """Requests in each second since the power came back."""

    gentle: bool
    requests: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    fresh_after: list[float] = field(default_factory=list)
    """Seconds from a lamp's start to its first token, in the order in which they came."""


def fleet(*, gentle: bool, lamps: int = LAMPS, seed: int = 0) -> Fleet:
    """What the provider sees; `gentle` is with spread and back-off."""
    rng, seen = Random(seed), Fleet(gentle)
    starts = [max(1.0, rng.gauss(BOOT, BOOT_SPREAD)) for _ in range(lamps)]
    attempts = [0] * lamps
    fresh = [False] * lamps
    due = [(at, lamp) for lamp, at in enumerate(starts)]  # every token has ended during the cut
    heapq.heapify(due)
    while due and due[0][0] < UNTIL:
        at, lamp = heapq.heappop(due)
        second = int(at)
        seen.requests[second] += 1
        if seen.requests[second] > CAPACITY:
            seen.refused += 1
            attempts[lamp] += 1
            heapq.heappush(due, (_retry(at, attempts[lamp], rng, gentle=gentle), lamp))
            continue
        attempts[lamp] = 0
        if not fresh[lamp]:
            fresh[lamp] = True
            seen.fresh_after.append(at - starts[lamp])
        heapq.heappush(due, (_refresh(at, rng, gentle=gentle), lamp))
    return seen


def _retry(at: float, attempts: int, rng: Random, *, gentle: bool) -> float:
    policy = RetryPolicy()
    if not gentle:
        return at + policy.first.total_seconds()
    failure = Failure(FailureKind.UNREACHABLE, "503", BEGAN + timedelta(seconds=at))
    moment = retry_due(failure, attempts, policy, rng.random())
    assert moment is not None
    return (moment - BEGAN).total_seconds()


def _refresh(at: float, rng: Random, *, gentle: bool) -> float:
    tokens = TokenSet(Secret("A"), "Bearer", BEGAN + timedelta(seconds=at), LIFE, Secret("R"), (), None, None, "")
    return (refresh_due(tokens, RefreshPolicy(), rng.random() if gentle else 0.0) - BEGAN).total_seconds()


def told(seen: Fleet) -> str:
    """The figures in a line."""
    first = max(number for second, number in seen.requests.items() if second < 1800)
    later = max(number for second, number in seen.requests.items() if second >= 1800)
    name = "with spread and back-off" if seen.gentle else "without"
    done = seen.fresh_after
    half, most = sorted(done)[len(done) // 2], sorted(done)[int(len(done) * 0.99)]
    return (
        f"{name}: {first} requests in the worst second after the power's return, {later} an hour later; "
        f"{seen.refused / len(done):.1f} refused per lamp; fresh after {half:.0f} s (half), {most:.0f} s (99 %)"
    )
