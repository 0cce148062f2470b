"""The engine: accounts come with a configuration, sign-outs are finished, one process is the leader."""

from __future__ import annotations

import asyncio

import pytest

from tests.builders import tokens
from tests.fakes.one_account import Environment
from tray_app.adapters.store.locks import FileLock
from tray_app.core.account import Configuration
from tray_app.core.errors import UnknownAccount
from tray_app.core.health import Health
from tray_app.engine.engine import Engine


@pytest.fixture
def world(tmp_path):
    return Environment(tmp_path)


async def test_an_account_that_is_taken_up_is_never_found_signed_out_before_its_tokens_were_read(world):
    await world.signed_in()
    engine = Engine(Configuration({}), lambda _configuration: world.parts, prepare=None)
    world.store.go_on.clear()
    applying = asyncio.create_task(engine.apply(Configuration({"work": world.account})))
    asking = asyncio.create_task(engine.token("work"))
    await world.store.is_read.wait()

    assert not asking.done()
    assert engine.statuses() == []
    with pytest.raises(UnknownAccount):
        engine.account("work")
    world.store.go_on.set()
    assert await asking == world.store._tokens["work"]
    assert [status.health for status in engine.statuses()] == [Health.FRESH]
    await applying
    with pytest.raises(UnknownAccount):
        await engine.token("home")
    await engine.stop()


async def test_a_sign_out_is_finished_before_the_engine_ends(world):
    engine = Engine(Configuration({"work": world.account}), lambda _configuration: world.parts, prepare=None)
    await engine.load()
    await engine.account("work").signed_in(tokens(60, now=world.clock.time, bound_to=world.account.bound_to))
    world.provider.go_on.clear()
    asking = asyncio.create_task(engine.sign_out("work"))
    await asyncio.sleep(0)
    asking.cancel()  # whoever asked has gone
    ending = asyncio.create_task(engine.stop())
    await asyncio.sleep(0)
    world.provider.go_on.set()
    await ending

    assert world.provider.revoked == ["R0"]
    assert world.held() is None


async def test_who_keeps_accounts_fresh_was_there_first_until_it_ends(world):
    engine = Engine(Configuration({}), lambda _configuration: world.parts, prepare=None)
    await engine.start()
    while_it_runs = FileLock(world.folder).lead()
    await engine.stop()

    assert not while_it_runs
    assert FileLock(world.folder).lead()
