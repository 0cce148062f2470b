import io
import re
import sys
from datetime import UTC, datetime

import pytest

from tray_app.core.health import Health
from tray_app.demo.story import COLOURS, WORDS, health_line, wants_colour

NOON = datetime(2026, 11, 24, 12, 0, 3, tzinfo=UTC)


@pytest.mark.parametrize("health", Health)
def test_a_line_says_when_who_how_and_what_it_means(health: Health) -> None:
    line = health_line(NOON, "demo", health)

    time, account, word, words = re.split(r"  +", line, maxsplit=3)
    assert time == f"{NOON.astimezone():%H:%M:%S}"
    assert (account, word, words) == ("demo", health.value, WORDS[health])


def test_the_words_stand_in_one_column() -> None:
    assert len({health_line(NOON, "demo", health).index(WORDS[health]) for health in Health}) == 1


@pytest.mark.parametrize("health", Health)
def test_colour_is_around_the_health_alone_and_changes_no_word(health: Health) -> None:
    coloured = health_line(NOON, "demo", health, colour=True)

    assert coloured.count("\x1b[") == 2
    assert f"\x1b[{COLOURS[health]}m{health.value}" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == health_line(NOON, "demo", health)


def test_each_health_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS.values())) == len(Health)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
    ids=["terminal", "empty NO_COLOR counts as unset", "NO_COLOR", "dumb terminal", "pipe"],
)
def test_colour_is_for_terminals_that_want_it(
    *, stream: io.StringIO, environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream)

    assert wants_colour() is wanted
