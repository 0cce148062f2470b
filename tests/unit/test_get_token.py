"""Handing out a token: waiting for it, asking a provider again, and leaving it alone."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import NOW, failure
from tests.fakes.one_account import Environment
from tray_app.core.errors import Unavailable
from tray_app.core.failure import FailureKind
from tray_app.engine.get_token import token_of


@pytest.fixture
def world(tmp_path):
    return Environment(tmp_path)


async def test_a_caller_that_goes_away_does_not_abort_the_refresh(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=61)
    world.provider.go_on.clear()
    asking = asyncio.create_task(token_of(refresher, world.clock, timedelta(0), wait=True))
    while not world.provider.seen:  # noqa: ASYNC110 - another task sets no event
        await asyncio.sleep(0)
    asking.cancel()
    world.provider.go_on.set()
    await refresher.settle()

    assert world.held() == "R1"


async def test_a_token_that_lives_shorter_than_asked_for_is_not_refreshed_for_nothing(world):
    refresher = await world.signed_in()

    with pytest.raises(Unavailable):
        await token_of(refresher, world.clock, timedelta(hours=2), wait=True)
    assert world.provider.seen == []


async def test_a_caller_waits_out_a_first_request_that_is_cut_off(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=61)
    world.provider.failures = [failure(at=NOW), failure(at=NOW)]
    handed = await token_of(refresher, world.clock, timedelta(0), wait=True)

    assert handed.access_token.reveal() == "A3"


@pytest.mark.parametrize(("said", "after", "asked"), [(None, 29, 1), (None, 31, 2), (60, 59, 1), (60, 60, 2)])
async def test_who_waits_for_a_token_asks_a_provider_when_the_calm_it_wanted_is_over(world, said, after, asked):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=61)
    until = world.clock.time + timedelta(seconds=said) if said else None
    world.provider.failures = [failure(FailureKind.THROTTLED, world.clock.time, not_before=until)]
    await refresher.attend()
    world.clock.pass_by(seconds=after)
    refresher.state.record = replace(refresher.record, retry_at=world.clock.time + timedelta(minutes=5))
    with contextlib.suppress(Unavailable):
        await token_of(refresher, world.clock, timedelta(0), wait=True)

    assert len(world.provider.seen) == asked


async def test_who_joins_a_refresh_that_fails_waits_for_one_attempt_more(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=61)
    world.provider.failures = [failure(FailureKind.UNREACHABLE, NOW)]  # long enough ago: the wait for it is over
    handed = await token_of(refresher, world.clock, timedelta(0), wait=True)

    assert handed.access_token.reveal() == "A2"
    assert world.provider.seen == ["R0", "R0"]


async def test_an_expired_token_is_never_handed_out(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=61)

    with pytest.raises(Unavailable):
        await token_of(refresher, world.clock, timedelta(0), wait=False)
    assert refresher.token_at_hand() is None
