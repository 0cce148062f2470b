"""The accounts are looked at whenever something can have become due, and at no other time."""

from __future__ import annotations

import asyncio

import pytest

from tests.builders import account, failure, tokens
from tests.fakes.one_account import Environment
from tray_app.core.account import RetryPolicy
from tray_app.core.health import Health
from tray_app.core.record import Record
from tray_app.engine.refresher import Refresher
from tray_app.engine.scheduler import Scheduler


class Watching:
    """Two accounts whose tokens live for an hour, and what a scheduler does with them."""

    def __init__(self, world):
        self.world = world
        self.seen, self.begun = [], []
        self.refreshers = []

    async def begin(self):
        for name in ("work", "mail"):
            one = Refresher(account(name=name), self.world.parts, RetryPolicy(), lambda _: None)
            await one.signed_in(tokens(60, now=self.world.clock.time, bound_to=one.account.bound_to))
            self.refreshers.append(one)
        self.scheduler = Scheduler(
            self.world.clock, lambda: self.refreshers, lambda managed: self.seen.append(managed.account.name)
        )
        self.scheduler.begin = self._begin

    def _begin(self, work):
        self.begun.append(work)
        work.close()

    def looks(self):
        """The accounts that one look is at."""
        self.seen.clear()
        self.scheduler.look()
        return self.seen


@pytest.fixture
async def watching(tmp_path):
    found = Watching(Environment(tmp_path))
    await found.begin()
    return found


async def test_while_nothing_can_have_become_due_no_account_is_looked_at(watching):
    first = list(watching.looks())
    at = watching.scheduler.look()
    watching.world.clock.pass_by(seconds=30)

    assert first == ["work", "mail"]
    assert watching.looks() == []
    assert watching.scheduler.look() == at == min(one.due() for one in watching.refreshers)


@pytest.mark.parametrize("what", ["a change", "the clock went back", "it is due", "the health changes"])
async def test_what_can_have_made_something_due_is_looked_into(watching, what):
    if what == "the health changes":  # a retry is planned for long after the token's end
        for one in watching.refreshers:
            one.state.become(Record(tokens=one.record.tokens, failure=failure(), revision=9))
    at = (watching.looks(), watching.scheduler.look())[1]
    match what:
        case "a change":
            watching.scheduler.replan()
        case "the clock went back":
            watching.world.clock.pass_by(seconds=-5)
        case _:
            watching.world.clock.time = at

    assert watching.looks() == ["work", "mail"]
    assert bool(watching.begun) == (what == "it is due")


async def test_a_token_that_a_wrong_clock_dated_ahead_is_told_when_its_time_has_come(watching):
    one = watching.refreshers.pop()
    ahead = watching.world.clock.time.replace(year=2030)
    await one.signed_in(tokens(60, now=ahead, bound_to=one.account.bound_to, refresh_token=None))
    watching.refreshers = [one]
    moment = watching.scheduler.look()
    before = one.health
    watching.world.clock.time = moment

    assert before is Health.SIGN_IN_NEEDED
    assert watching.looks() == ["mail"]
    assert one.health is Health.FRESH


async def test_what_is_due_is_looked_at_until_it_is_done(watching):
    watching.world.clock.pass_by(minutes=59)

    assert [len(watching.looks()) for _ in range(3)] == [2, 2, 2]


async def test_an_account_that_is_being_refreshed_is_looked_at_again(watching):
    watching.world.provider.go_on.clear()
    watching.world.clock.pass_by(minutes=59)
    attempts = [one.attempt(forced=False) for one in watching.refreshers]
    under_way = [asyncio.create_task(one) for one in attempts]
    await asyncio.sleep(0)

    assert [len(watching.looks()) for _ in range(2)] == [2, 2]
    assert watching.begun == []
    watching.world.provider.go_on.set()
    await asyncio.gather(*under_way)
    assert len(watching.looks()) == 2
    watching.world.clock.pass_by(minutes=1)
    assert watching.looks() == []
