"""No refresh begins around a sleep, and a clock that was set back makes no token live longer."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import account
from tray_app.engine.system_state import SystemState


class Clock:
    """A wall clock that can be set, beside one that cannot."""

    def __init__(self):
        self.time = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.seconds = 100.0

    def now(self):
        return self.time

    def since_boot(self):
        return self.seconds


class Managed:
    """Notes what it is told."""

    def __init__(self):
        self.set_back_by = []
        self.settled = 0

    async def settle(self):
        self.settled += 1

    def set_back(self, by):
        self.set_back_by.append(by)


@pytest.fixture
async def system():
    managed = Managed()
    state = SystemState(Clock(), lambda: [managed], lambda: None)
    yield state, managed
    state.close()


async def test_no_refresh_begins_while_the_machine_falls_asleep(system):
    state, managed = system
    await state.happened("suspend")

    assert not state.may_ask(account())
    assert managed.settled == 1


async def test_after_a_sleep_only_loopback_is_asked_before_there_is_a_network(system):
    state, _ = system
    await state.happened("suspend")
    await state.happened("resume")

    assert not state.may_ask(account())
    assert state.may_ask(account(issuer="http://127.0.0.1:8000"))


async def test_a_clock_that_was_set_back_is_told_to_every_account(system):
    state, managed = system
    state._clock.time -= timedelta(hours=1)
    state.notice_clock()

    assert managed.set_back_by == [timedelta(hours=1)]


async def test_a_clock_that_goes_on_as_it_should_is_no_news(system):
    state, managed = system
    state._clock.time += timedelta(hours=1)
    state._clock.seconds += 3600
    state.notice_clock()

    assert managed.set_back_by == []
