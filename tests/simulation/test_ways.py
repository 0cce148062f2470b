"""The ways in which real products sign people out needlessly: of the field's thirteen, those of a laptop's life.

Each is a small life of its own: another policy fails in it, ours passes on the same trace.
"""

from __future__ import annotations

import pytest

from tests.simulation.life import DAY, HOUR, MINUTE, Life, Rules
from tests.simulation.scene import START, asks, cost, scene

SHORT = Rules("strict", 0.0, 10 * MINUTE, None, None, tells_end=False)
LONG = Rules("strict", 0.0, 8 * HOUR, None, None, tells_end=False)
GRACE = Rules("grace", 60.0, HOUR, None, None, tells_end=False)
NONE = Rules("none", 0.0, HOUR, None, None, tells_end=False)
NIGHT = [(START + 9 * HOUR, "sleep", None), (START + 24 * HOUR, "wake", None)]
AFTER = START + 24 * HOUR


def two_processes() -> Life:
    """1. Two processes refresh one rotating token, and the loser's refusal deletes the winner's."""
    seconds = [(START + HOUR * number + 59.99 * MINUTE, "second", HOUR) for number in range(6)]
    return scene(*seconds, *asks(START, START + 8 * HOUR))


def no_dns_at_wake_up() -> Life:
    """2. A refresh at wake-up, before the network is there."""
    return scene(*NIGHT, (AFTER + 3 * HOUR, "network", "up"), *asks(AFTER + 3 * HOUR + 60, AFTER + 8 * HOUR))


def answer_lost_within_grace() -> Life:
    """3. The network goes while the answer is under way; the provider takes the old token a minute longer."""
    return scene(*asks(START, START + 8 * HOUR), faults=[(START + 30 * MINUTE, "lost", ("reset", 0.0))], rules=GRACE)


def no_refresh_token_in_the_answer() -> Life:
    """6. An answer without a refresh token means the one before."""
    return scene(*asks(START, START + 8 * HOUR), rules=NONE)


def locked_keyring() -> Life:
    """7. A locked keyring is not an empty one: it is locked as the process starts, and opened ten minutes later."""
    return scene(
        (START + 60 * MINUTE, "keyring", "locked"),
        (START + 61 * MINUTE, "crash", 5.0),
        (START + 71 * MINUTE, "keyring", "open"),
        *asks(START + 80 * MINUTE, START + 8 * HOUR),
    )


def captive_portal() -> Life:
    """10. A captive portal answers 400 with a page of HTML."""
    return scene(
        *NIGHT,
        (AFTER + 1, "network", "bad request"),
        (AFTER + HOUR, "network", "up"),
        *asks(AFTER, AFTER + 8 * HOUR),
    )


def tick_of_fifty_minutes() -> Life:
    """13. A 50-minute tick, and tokens of 10 minutes, or of 8 hours that end 20 minutes before the tick."""
    return scene(*asks(START + 60, START + 3 * DAY), rules=LONG)


def short_lives() -> Life:
    """13, the other side of it."""
    return scene(*asks(START + 60, START + DAY), rules=SHORT)


def outage_of_hours() -> Life:
    """A provider that is out of order for longer than three ticks."""
    return scene(
        (START + HOUR, "provider", ("outage", "500")),
        (START + 6 * HOUR, "provider", ("up", None)),
        *asks(START + 7 * HOUR, START + 12 * HOUR),
    )


WAYS = [
    (two_processes, "fixed tick"),
    (no_dns_at_wake_up, "fixed tick"),
    (answer_lost_within_grace, "fixed tick"),
    (captive_portal, "on demand"),
    (captive_portal, "eager daemon"),
    (locked_keyring, "fixed tick"),
    (tick_of_fifty_minutes, "fixed tick"),
    (short_lives, "fixed tick"),
    (outage_of_hours, "fixed tick"),
]


@pytest.mark.parametrize(("way", "other"), WAYS, ids=lambda one: getattr(one, "__name__", one))
def test_ours_passes_where_another_policy_fails(way, other):
    ours, theirs = cost(way(), "Lamplighter"), cost(way(), other)

    assert ours == (0, 0)
    assert sum(theirs) > 0


def test_an_answer_without_a_refresh_token_keeps_the_one_before():
    assert cost(no_refresh_token_in_the_answer(), "Lamplighter") == (0, 0)
