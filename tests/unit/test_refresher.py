"""The refresher on parts that misbehave on purpose: a sign-in that the provider honours is kept, whatever they do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import NOW, failure, tokens
from tests.fakes.one_account import Environment, FailingStore
from tray_app.adapters.oauth.http_client import AnswerLost
from tray_app.core.account import RetryPolicy
from tray_app.core.errors import SignInNeeded, StoreUnavailable, Unavailable
from tray_app.core.health import Health
from tray_app.core.ports import ProviderError
from tray_app.core.provider_errors import FailureKind
from tray_app.core.tokens import Secret
from tray_app.engine.get_token import token_of
from tray_app.engine.refresher import Refresher


@pytest.fixture
def world(tmp_path):
    return Environment(tmp_path)


async def test_a_store_that_refuses_the_new_tokens_gets_them_later_and_refreshes_go_on(world):
    refresher = await world.signed_in()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    handed = await token_of(refresher, world.clock, timedelta(0), wait=True)
    before = refresher.health, refresher.record.failure.kind, world.held()
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.store.writes = True
    world.clock.pass_by(minutes=1)
    await refresher.attend()

    assert handed.access_token.reveal() == "A1"
    assert before == (Health.RETRYING, FailureKind.STORE, "R0")
    assert world.provider.seen == ["R0", "R1"]
    assert (refresher.health, world.held()) == (Health.FRESH, "R2")


@pytest.mark.parametrize(("for_good", "seconds_later", "asked"), [(True, 2, 2), (False, 2, 1), (True, 90, 1)])
async def test_at_the_end_an_answer_that_was_just_lost_is_asked_for_once_more(world, for_good, seconds_later, asked):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    world.provider.failures = [AnswerLost(failure(FailureKind.UNREACHABLE, world.clock.time))]
    await refresher.attend()
    world.clock.pass_by(seconds=seconds_later)
    await refresher.settle(for_good=for_good)

    assert world.provider.seen == ["R0"] * asked
    assert world.held() == ("R2" if asked == 2 else "R0")


async def test_at_the_end_the_network_that_took_the_answer_along_is_waited_for(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    world.provider.failures = [
        AnswerLost(failure(FailureKind.UNREACHABLE, world.clock.time)),
        ProviderError(failure(FailureKind.UNREACHABLE, world.clock.time, offline=True)),
    ]
    await refresher.attend()
    await refresher.settle(for_good=True)

    assert world.provider.seen == ["R0"] * 3
    assert world.held() == "R3"


async def test_at_the_end_what_the_store_refused_is_offered_to_it_once_more(world):
    refresher = await world.signed_in()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.store.writes = True
    await refresher.settle()

    assert world.held() == "R1"


async def test_a_refresh_that_was_never_sent_is_no_interrupted_one(world):
    refresher = await world.signed_in()
    secret = failure(FailureKind.STORE, at=world.clock.time)
    refusal = failure(FailureKind.REFUSED, at=world.clock.time)
    world.provider.failures = [ProviderError(secret), ProviderError(refusal)]
    with pytest.raises(StoreUnavailable):
        await refresher.refresh()
    world.clock.pass_by(minutes=10)
    with contextlib.suppress(SignInNeeded):
        await refresher.refresh()

    assert refresher.record.failure.kind is FailureKind.REFUSED


async def test_a_store_that_lost_the_tokens_does_not_sign_anyone_out(world):
    refresher = await world.signed_in()
    await world.store.erase("work")
    world.clock.pass_by(minutes=55)
    await refresher.attend()

    assert refresher.health is Health.FRESH
    assert world.held() == "R1"


async def test_a_sign_out_in_another_process_is_heard(world):
    refresher, other = await world.signed_in(), world.refresher()
    await other.load()
    await other.sign_out()
    world.clock.pass_by(minutes=55)
    await refresher.attend()

    assert refresher.health is Health.SIGNED_OUT
    assert world.provider.seen == []


async def test_a_refusal_erases_nothing_that_cannot_be_read_and_newer_tokens_there_are_adopted(world):
    refresher = await world.signed_in()
    newer = tokens(60, now=NOW + timedelta(minutes=55), refresh_token="newer", bound_to=world.account.bound_to)
    await world.store.save("work", newer)
    world.store.reads = False
    world.provider.failures = [failure(FailureKind.REFUSED)]
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    due = refresher.due()
    world.store.reads = True
    world.clock.pass_by(minutes=1)
    await refresher.attend()

    assert due > NOW + timedelta(minutes=55)  # no hot loop
    assert refresher.health is Health.FRESH
    assert world.held() == "newer"


async def test_a_refused_configuration_has_its_three_attempts_also_after_an_outage(world):
    refresher = await world.signed_in()
    kinds = [FailureKind.UNREACHABLE] * 4 + [FailureKind.MISCONFIGURED] * 3
    world.clock.pass_by(minutes=51)
    healths = []
    for kind in kinds:
        world.provider.failures = [failure(kind, world.clock.time)]
        await refresher.attempt(forced=True)
        healths.append(refresher.health)
        world.clock.pass_by(seconds=10)

    assert healths == [Health.RETRYING] * 6 + [Health.SIGN_IN_NEEDED]
    assert refresher.record.tokens is not None


async def test_the_log_has_a_line_for_each_health_and_none_for_more_of_the_same(world, caplog):
    caplog.set_level(logging.INFO, "lamplighter")
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=51)
    for _ in range(5):
        world.provider.failures = [failure(FailureKind.MISCONFIGURED, world.clock.time)]
        await refresher.attempt(forced=True)
    lines = [record.getMessage() for record in caplog.records]

    assert [line.partition(",")[0] for line in lines if "attempt" in line] == ["work: retrying", "work: sign-in-needed"]
    assert "lamplighter login work" in lines[-1]


async def test_who_only_reads_what_is_stored_has_nothing_to_log(world, caplog):
    await world.signed_in()
    caplog.set_level(logging.INFO, "lamplighter")
    caplog.clear()
    await world.refresher().load()

    assert not caplog.records


async def test_a_locked_store_at_the_start_is_asked_ever_more_rarely(world):
    await world.signed_in()
    world.store.reads = False
    refresher = world.refresher()
    await refresher.load()
    asked = world.store.asked
    for _ in range(3600):
        world.clock.pass_by(seconds=1)
        await refresher.attend()

    assert refresher.health is Health.EXPIRED
    assert world.store.asked - asked < 40
    world.store.reads = True
    world.clock.pass_by(minutes=5)
    await refresher.attend()
    assert refresher.health is Health.FRESH or world.provider.seen == ["R0"]


async def test_a_clock_that_goes_back_makes_no_token_live_longer_and_is_refreshed_at_once(world):
    refresher = await world.signed_in()
    world.clock.pass_by(hours=-6)
    health, due = refresher.health, refresher.due()
    await refresher.attend()

    assert (health, due) == (Health.EXPIRED, world.clock.time)
    assert world.provider.seen == ["R0"]
    assert refresher.health is Health.FRESH


async def test_a_failure_noted_by_a_clock_a_year_ahead_is_retried_at_once(world):
    refresher = await world.signed_in()
    world.clock.pass_by(days=365)
    world.provider.failures = [failure(FailureKind.UNREACHABLE, world.clock.time)]
    await refresher.attend()
    world.clock.pass_by(days=-365)
    world.clock.pass_by(minutes=55)
    await refresher.attend()

    assert refresher.health is Health.FRESH


async def test_a_lost_answer_is_asked_for_again_soon_however_long_nothing_was_reached_before(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    waits = []
    for lost in (*[False] * 12, True, True, True):
        world.clock.time = max(world.clock.time, refresher.due())
        error = AnswerLost(failure(at=world.clock.time)) if lost else ProviderError(failure(at=world.clock.time))
        world.provider.failures = [error]
        await refresher.attend()
        waits.append((refresher.due() - world.clock.time).total_seconds())

    assert waits[11] > 60  # a provider that is out of order for long is asked ever more rarely
    assert waits[12] <= 2  # who rotates and forgives takes the old token for a minute
    assert waits[12] < waits[13] < waits[14]  # and that is begun anew once


async def test_tokens_that_are_read_again_unchanged_are_no_news(world):
    refresher = await world.signed_in()
    news = []
    refresher = Refresher(world.account, world.parts, RetryPolicy(), news.append)
    await refresher.load()
    await refresher.load()

    assert len(news) == 1


async def test_a_death_between_a_refusal_and_the_erasing_of_the_tokens_is_no_sign_out(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    world.provider.failures = [failure(FailureKind.REFUSED, world.clock.time)]

    async def die(_account):
        raise KeyboardInterrupt

    world.store.erase = die
    with contextlib.suppress(KeyboardInterrupt):
        await refresher._attempt(forced=False)
    world.store = FailingStore()  # whether it has erased them or not
    world.parts = replace(world.parts, store=world.store)
    refresher = world.refresher()
    await refresher.load()

    assert refresher.health is Health.SIGN_IN_NEEDED


async def test_tokens_that_another_process_could_not_store_yet_are_waited_for(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.store.reads = world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    await other.attend()
    while_locked = list(world.provider.seen), other.record.failure.kind
    world.store.reads = world.store.writes = True
    world.clock.pass_by(minutes=40)  # both slept: who wakes first must not take the other one for dead
    await other.attend()
    before = list(world.provider.seen)
    await refresher.attend()
    world.clock.pass_by(minutes=5)
    await other.attend()

    assert while_locked == (["R0"], FailureKind.STORE)
    assert before == ["R0"]  # although it can read the store, whose tokens are those of before
    assert (other.record.tokens.refresh_token.reveal(), other.health) == ("R1", Health.FRESH)
    assert world.provider.seen == ["R0"]


async def test_who_has_died_with_tokens_that_were_never_stored_is_not_waited_for(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.parts.lock.claim("work", newer=False)  # as the kernel does for the dead
    world.store.writes = True
    await other.attend()

    assert world.provider.seen == ["R0", "R0"]


async def test_tokens_that_another_process_has_used_up_are_not_sent_while_the_store_shows_no_newer_ones(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.store.reads = False
    world.clock.pass_by(minutes=1)
    for _ in range(3):
        await other.attend()
        world.clock.time = max(world.clock.time, other.due())
    locked = other.health, other.record.failure.kind
    world.store.reads = True
    await other.attend()

    assert locked == (Health.RETRYING, FailureKind.STORE)
    assert world.provider.seen == ["R0"]
    assert (other.record.tokens.refresh_token.reveal(), other.health) == ("R1", Health.FRESH)


async def test_who_waits_for_another_process_s_tokens_looks_ever_more_rarely_and_tells_it_once(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.store.writes = False  # it can be read: what it has are the tokens of before
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    healths, waits = [], []
    other.state._changed = lambda: healths.append(other.health)
    for _ in range(10):
        await other.attend()
        waits.append((other.due() - world.clock.time).total_seconds())
        world.clock.time = other.due()

    assert waits[-1] > 60
    assert healths == sorted(healths, key=[Health.RETRYING, Health.EXPIRED].index)
    assert world.provider.seen == ["R0"]


async def test_another_keyring_that_is_empty_is_filled_by_who_has_the_newest_tokens(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.store.reads = world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    await other.attend()
    world.store.reads = world.store.writes = True
    await world.store.erase("work")
    for _ in range(3):
        world.clock.pass_by(minutes=5)
        await other.attend()
    await refresher.attend()
    world.clock.pass_by(minutes=5)
    await other.attend()

    assert world.provider.seen == ["R0"]
    assert [world.held(), other.record.tokens.refresh_token.reveal()] == ["R1", "R1"]


@pytest.mark.parametrize("what", ["signs in", "signs out"])
async def test_what_a_person_has_done_in_another_process_is_newer_than_what_a_store_refused(world, what):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.store.writes = True
    if what == "signs in":
        bound_to = world.account.bound_to
        await other.signed_in(tokens(60, now=world.clock.time, bound_to=bound_to, refresh_token="NEW"))
        said = None
    else:
        said = await other.sign_out()
    world.clock.pass_by(minutes=5)
    await refresher.attend()

    kept = refresher.record.tokens and refresher.record.tokens.refresh_token.reveal()
    assert [world.held(), kept] == (["NEW", "NEW"] if what == "signs in" else [None, None])
    assert refresher.health is (Health.FRESH if what == "signs in" else Health.SIGNED_OUT)
    assert (said is None) == (what == "signs in")
    assert not world.other.is_claimed("work")


async def test_after_a_sign_in_elsewhere_the_tokens_of_before_are_not_sent_while_the_store_is_locked(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.clock.pass_by(minutes=10)
    bound_to = world.account.bound_to
    await other.signed_in(tokens(60, now=world.clock.time, bound_to=bound_to, refresh_token="NEW"))
    world.store.reads = False
    world.clock.pass_by(minutes=45)
    await refresher.attend()
    world.store.reads = True
    world.clock.pass_by(minutes=5)
    await refresher.attend()

    assert world.provider.seen == ["NEW"]
    assert refresher.health is Health.FRESH


async def test_under_a_locked_store_only_the_process_that_was_there_first_refreshes(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    assert world.parts.lock.lead()
    await other.load()
    world.store.reads = world.store.writes = False
    world.clock.pass_by(minutes=55)
    await other.attend()  # it may end before the store takes anything again
    asked, failure = list(world.provider.seen), other.record.failure
    await refresher.attend()
    world.clock.pass_by(minutes=5)
    await other.settle(for_good=True)
    world.store.reads = world.store.writes = True
    await refresher.attend()

    assert asked == []
    assert failure.kind is FailureKind.STORE
    assert (world.provider.seen, world.held(), refresher.health) == (["R0"], "R1", Health.FRESH)


async def test_under_a_locked_store_its_own_lost_answer_is_asked_for_again_by_any_process(world):
    await world.signed_in()
    other = world.of_another_process()
    assert world.parts.lock.lead()
    world.clock.pass_by(minutes=55)
    world.provider.failures = [AnswerLost(failure(at=world.clock.time))]
    await other.load()
    await other.attend()
    world.store.reads = False  # for a moment
    await other.settle(for_good=True)

    assert (world.provider.seen, world.held()) == (["R0", "R0"], "R2")


async def test_what_a_damaged_note_says_of_the_sign_in_stops_nothing(world):
    refresher = await world.signed_in()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.facts.save("work", world.facts.load("work") | {"grant": ["begun"]})
    world.store.writes = True
    world.clock.pass_by(minutes=5)
    await refresher.attend()

    assert not refresher.record.unsaved
    assert refresher.record.tokens is not None


async def test_an_ending_gives_back_what_it_could_not_store(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    await refresher.settle()  # before sleep
    claimed = world.other.is_claimed("work")
    await refresher.settle(for_good=True)

    assert claimed
    assert not world.other.is_claimed("work")


async def test_a_clock_that_has_gone_back_makes_no_token_younger_for_the_next_process_either(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=30)
    for back in (50, 10):
        world.clock.pass_by(minutes=-back)
        refresher.set_back(timedelta(minutes=back))
    found = world.refresher()
    await found.load()
    found.set_back(timedelta(minutes=5))
    world.clock.pass_by(minutes=-5)
    last = world.refresher()
    await last.load()

    left = [one.record.tokens.expires_at - world.clock.time for one in (found, last)]
    assert left == [timedelta(minutes=30)] * 2
    world.clock.pass_by(minutes=25)
    await last.attend()
    assert last.record.stored_as is None
    await refresher.load()
    assert refresher.record.tokens == last.record.tokens


async def test_a_locked_store_does_not_hide_why_the_provider_gives_nothing(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=61)
    world.store.reads = False
    counted = []
    for _ in range(4):
        world.provider.failures = [failure(at=world.clock.time, offline=True)]
        await refresher.attend()
        counted.append((refresher.record.failure.kind, refresher.record.attempts))
        world.clock.time = refresher.due()

    assert counted == [(FailureKind.UNREACHABLE, number) for number in (1, 2, 3, 4)]


async def test_what_a_gateway_may_have_lost_is_asked_for_again_soon_once_in_a_minute(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    waits = []
    for status in (*[503] * 12, 504, *[503] * 12, 502, 504):
        world.clock.time = max(world.clock.time, refresher.due())
        world.provider.failures = [failure(at=world.clock.time, status=status)]
        await refresher.attend()
        waits.append((refresher.due() - world.clock.time).total_seconds())

    assert waits[11] > 60
    assert waits[12] <= 2
    assert waits[24] > 60
    assert waits[25] <= 2
    assert waits[26] > 60


async def test_a_provider_that_wants_to_be_left_alone_for_long_does_not_keep_the_store_from_getting_the_tokens(world):
    refresher = await world.signed_in()
    world.store.writes = False
    world.clock.pass_by(minutes=55)
    await refresher.attend()
    world.clock.pass_by(minutes=55)
    until = world.clock.time + timedelta(days=3)
    world.provider.failures = [failure(FailureKind.THROTTLED, world.clock.time, not_before=until)]
    await refresher.attend()
    for _ in range(20):
        world.clock.pass_by(minutes=1)
        await refresher.attend()
    asked_in_vain = world.store.asked
    world.store.writes = True
    for _ in range(20):
        world.clock.pass_by(minutes=1)
        await refresher.attend()

    assert asked_in_vain < 20
    assert world.held() == "R1"
    assert world.provider.seen == ["R0", "R1"]
    assert (refresher.record.failure.kind, refresher.due()) == (FailureKind.THROTTLED, until)


async def test_what_failed_for_want_of_a_network_is_tried_again_within_a_second_of_its_return(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=51)
    for _ in range(9):
        world.provider.failures = [failure(FailureKind.UNREACHABLE, world.clock.time)]
        await refresher.attempt(forced=True)
    refresher.hurry()
    soon = refresher.due() - world.clock.time
    world.clock.pass_by(seconds=1)
    await refresher.attend()

    assert timedelta(0) < soon < timedelta(seconds=1)
    assert refresher.health is Health.FRESH


async def test_an_attempt_that_began_in_the_network_before_is_made_again_in_the_new_one(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=51)
    world.provider.failures = [failure(FailureKind.UNREACHABLE, world.clock.time)]
    world.provider.go_on.clear()
    attempt = asyncio.create_task(refresher.attend())
    while not world.provider.seen:  # noqa: ASYNC110 - another task sets no event
        await asyncio.sleep(0)
    refresher.hurry()
    world.provider.go_on.set()
    await attempt

    assert refresher.due() - world.clock.time < timedelta(seconds=1)


async def test_the_return_of_the_network_does_not_hurry_who_asked_to_be_left_alone(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=51)
    until = world.clock.time + timedelta(hours=1)
    world.provider.failures = [failure(FailureKind.THROTTLED, world.clock.time, not_before=until)]
    await refresher.attend()
    refresher.hurry()

    assert refresher.due() == until


async def test_a_clock_that_goes_back_under_us_makes_no_token_younger_and_asks_for_no_refresh(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=20)
    world.clock.pass_by(days=-365)
    refresher.set_back(timedelta(days=365))
    left = refresher.record.tokens.valid_for(world.clock.time)
    await refresher.attend()
    await refresher.load()  # what is stored is dated by the clock as it was, and is the same all the same

    assert left == refresher.record.tokens.valid_for(world.clock.time) == timedelta(minutes=40)
    assert (refresher.health, world.provider.seen) == (Health.FRESH, [])


# -- answers of no other use that bring a new refresh token


async def test_a_new_refresh_token_in_an_answer_of_no_other_use_is_kept_and_sent_next(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    world.provider.failures = [ProviderError(failure(FailureKind.UNREACHABLE, world.clock.time), Secret("N1"))]
    await refresher.attend()
    kept, handed = world.held(), await token_of(refresher, world.clock, timedelta(0), wait=False)
    world.clock.pass_by(minutes=1)
    await refresher.attend()

    assert kept == "N1"
    assert handed.access_token.reveal() == "A0"
    assert world.provider.seen == ["R0", "N1"]
    assert refresher.health is Health.FRESH


async def test_where_the_store_refuses_it_it_is_kept_in_memory_and_offered_again(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    world.store.writes = False
    world.provider.failures = [ProviderError(failure(FailureKind.UNREACHABLE, world.clock.time), Secret("N1"))]
    await refresher.attend()
    world.store.writes = True
    await refresher.settle()

    assert world.held() == "N1"


async def test_a_refusal_that_asks_for_the_person_keeps_the_tokens(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    refusal = failure(FailureKind.REFUSED, world.clock.time, keeps_tokens=True)
    world.provider.failures = [ProviderError(refusal)]
    await refresher.attend()

    assert refresher.health is Health.SIGN_IN_NEEDED
    assert world.held() == "R0"
    assert refresher.due() == world.clock.time + timedelta(hours=1)


async def test_two_processes_that_want_the_same_account_refresh_it_once(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.clock.pass_by(minutes=55)
    await asyncio.gather(refresher.attend(), other.attend())

    assert world.provider.seen == ["R0"]
    assert {one.record.tokens.refresh_token.reveal() for one in (refresher, other)} == {"R1"}


async def test_while_one_process_asks_the_provider_no_other_one_does(world):
    refresher, other = await world.signed_in(), world.of_another_process()
    await other.load()
    world.clock.pass_by(minutes=55)
    world.provider.go_on.clear()
    asking = asyncio.create_task(refresher.attend())
    while not world.provider.seen:  # noqa: ASYNC110 - another task sets no event
        await asyncio.sleep(0)
    waiting = asyncio.create_task(other.attend())
    for _ in range(20):
        await asyncio.sleep(0)
    asked_meanwhile = list(world.provider.seen)
    world.provider.go_on.set()
    await asyncio.gather(asking, waiting)

    assert asked_meanwhile == world.provider.seen == ["R0"]


async def test_a_second_caller_joins_the_refresh_under_way(world):
    refresher = await world.signed_in()
    await asyncio.gather(refresher.attempt(forced=True), refresher.attempt(forced=True))

    assert world.provider.seen == ["R0"]


async def test_a_refused_sign_in_leaves_nothing_in_the_store(world):
    refresher = await world.signed_in()
    world.provider.failures = [failure(FailureKind.REFUSED, world.clock.time)]
    with pytest.raises(SignInNeeded):
        await refresher.refresh()

    assert world.held() is None


async def test_a_provider_that_asked_to_be_left_alone_is_not_asked_for_a_person_either(world):
    refresher = await world.signed_in()
    until = world.clock.time + timedelta(minutes=5)
    world.provider.failures = [failure(FailureKind.THROTTLED, world.clock.time, not_before=until)]
    for _ in range(2):
        with pytest.raises(Unavailable):
            await refresher.refresh()
    asked = list(world.provider.seen)
    world.clock.pass_by(minutes=5)
    await refresher.refresh()

    assert (asked, world.provider.seen) == (["R0"], ["R0", "R0"])


async def test_a_new_refresh_token_that_came_with_a_refusal_is_not_overwritten_by_the_spent_one_in_the_store(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    world.store.writes = False
    refusal = failure(FailureKind.REFUSED, world.clock.time, keeps_tokens=True)
    world.provider.failures = [ProviderError(refusal, Secret("N1"))]
    await refresher.attend()

    assert refresher.record.tokens.refresh_token == Secret("N1")
    assert refresher.record.unsaved
    assert refresher.record.failure == refusal


async def test_after_an_id_token_of_another_person_nothing_is_tried_before_a_sign_in(world):
    refresher = await world.signed_in()
    world.clock.pass_by(minutes=55)
    other = failure(FailureKind.REFUSED, world.clock.time, code="another_subject", keeps_tokens=True)
    world.provider.failures = [ProviderError(other, Secret("N1"))]
    await refresher.attend()

    assert (refresher.health, refresher.due()) == (Health.SIGN_IN_NEEDED, None)
    assert world.held() == "N1"
