"""The simulated world keeps to what the real one does; and the oracle to its rule."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from tests.simulation.counts import Counts
from tests.simulation.lamplighter import Lamplighter
from tests.simulation.life import HOUR, MINUTE, Rules, life_of
from tests.simulation.loop import HotLoopError, Loop
from tests.simulation.network import NoAnswer, ask
from tests.simulation.parts import Lock
from tests.simulation.provider import AuthorizationServer, RefreshToken
from tests.simulation.run import added, lived, run
from tests.simulation.scene import START, STRICT, asks, played, scene
from tests.simulation.table import held, table
from tests.simulation.world import Machine
from tests.simulation.year import ENDING, Year
from tray_app.adapters.store.locks import LOOK_AGAIN

GRACE = Rules("grace", 60.0, HOUR, None, None, tells_end=False)


@pytest.fixture
def machine() -> Machine:
    machine = Machine(scene(), Counts())
    machine.wake()
    return machine


def server(rules=STRICT, longest=0.0, whole=0.0) -> AuthorizationServer:
    made = AuthorizationServer(rules, lambda _since, _until: (longest, whole))
    made.sign_in(0.0)
    return made


# -- processes, their loops, and their locks


def test_time_stands_still_for_a_process_while_the_machine_sleeps(machine):
    woke = []

    async def wait() -> None:
        await asyncio.sleep(60)
        woke.append(machine.now)

    machine.spawn().start(wait())
    machine.at(30, machine.sleep)
    machine.at(1030, machine.wake)
    machine.run(2000)

    assert woke == [1060]


def test_a_process_that_is_killed_runs_no_further_not_even_to_clean_up(machine):
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(process.alive)

    process = machine.spawn()
    process.start(work())
    machine.at(30, machine.kill, process)
    machine.run(100)

    assert cleaned in ([], [False])  # what Python takes down with it finds a process that can do nothing any more


def test_one_process_holds_a_lock_at_a_time_and_the_kernel_frees_that_of_the_dead(machine):
    held = []

    async def hold(name: str, process) -> None:
        async with Lock(process).held("work"):
            held.append((name, machine.now))
            await asyncio.sleep(10)

    first, second, third = (machine.spawn() for _ in range(3))
    for name, process in (("first", first), ("second", second), ("third", third)):
        process.start(hold(name, process))
    machine.at(5, machine.kill, first)
    machine.run(100)

    assert [name for name, _ in held] == ["first", "second", "third"]
    assert 5 <= held[1][1] <= 5 + LOOK_AGAIN
    assert held[2][1] >= held[1][1] + 10


def test_a_cancelled_waiter_does_not_hold_the_lock(machine):
    held = []

    async def hold(process, seconds: float) -> None:
        async with Lock(process).held("work"):
            held.append(process)
            await asyncio.sleep(seconds)

    first, second, third = (machine.spawn() for _ in range(3))
    first.start(hold(first, 10))
    machine.run(1)
    waiting = second.start(hold(second, 10))
    machine.run(2)
    waiting.cancel()
    machine.run(3)
    third.start(hold(third, 1))
    machine.run(100)

    assert held == [first, third]


def test_a_second_process_that_is_to_end_while_the_machine_sleeps_ends_once_it_is_awake():
    year = Year(scene(), Lamplighter)
    machine = year.machine
    machine.wake()
    process = machine.spawn()
    machine.at(10, machine.sleep)
    machine.at(20, year._quit_second, process, Lamplighter(process, Random(0)))
    machine.at(1000, machine.wake)
    machine.run(990)
    asleep = process.alive
    machine.run(1000 + 3 * ENDING)

    assert asleep
    assert not process.alive


@pytest.mark.parametrize(("back", "after"), [("up", 1.0), (None, 11.0)], ids=["it comes back", "it stays away"])
def test_a_request_from_a_network_that_was_left_is_given_up_once_there_is_another_one(machine, back, after):
    ended: list[float] = []

    async def asks() -> None:
        with pytest.raises(NoAnswer, match="no answer in time"):
            await ask(process, "R1", 11.0, 1.0)
        ended.append(machine.now)

    machine.set_network("up")
    process = machine.spawn()
    process.start(asks())
    machine.at(0.01, machine.set_network, "down")
    if back:
        machine.at(5.0, machine.set_network, back)
    machine.run(60)

    assert ended == [pytest.approx((5.0 if back else 0.0) + after, abs=0.01)]


def test_what_never_rests_is_found():
    loop = Loop(lambda: 0.0)

    def again() -> None:
        loop.call_soon(again)

    loop.call_soon(again)
    with pytest.raises(HotLoopError):
        loop.run()


# -- the oracle


def test_to_give_up_what_the_provider_honours_is_needless():
    assert server().blames(10.0) == (True, "honoured")


def test_a_lost_answer_under_strict_rotation_is_the_providers_rule():
    strict = server()
    strict.refresh("R1", 10.0)

    assert strict.blames(20.0) == (False, "lost answer")
    assert strict.refresh("R1", 30.0)[0].status == 400
    assert strict.blames(30.0) == (False, "lost answer")


def test_to_send_an_old_token_although_a_newer_one_had_come_is_needless():
    strict = server()
    _, new = strict.refresh("R1", 10.0)
    strict.reached(new, 10.1)
    strict.refresh("R1", 30.0)

    assert strict.blames(30.0) == (True, "sent again")


@pytest.mark.parametrize(("after", "needless"), [(0.5, False), (5.0, True)], ids=["before it was stored", "later"])
def test_a_death_excuses_only_what_could_not_be_stored_yet(after, needless):
    strict = server()
    _, new = strict.refresh("R1", 10.0)
    strict.reached(new, 10.0)
    new.killed_at = 10.0 + after
    strict.refresh("R1", 30.0)

    assert strict.blames(30.0)[0] is needless


@pytest.mark.parametrize(
    ("opens", "excused"),
    [(None, True), (200.0, True), (1000.0, True), (600.0, False), (0.0, False)],
    ids=["never open", "open for less than five minutes", "open once it was over", "open long enough", "not locked"],
)
def test_an_end_in_its_own_time_excuses_only_what_the_keyring_let_nobody_store(opens, excused):
    year = Year(scene(), Lamplighter)
    machine = year.machine
    machine.wake()
    machine.set_keyring(is_open=opens == 0.0)
    if opens:
        machine.at(1000.0 - opens if opens < 1000.0 else opens, lambda: machine.set_keyring(is_open=True))
    process, token = machine.spawn(), RefreshToken(2, reached_at=1.0)
    process.came.append(token)
    machine.run(1000.0)
    year._end_second(process)

    assert (token.killed_at is not None) is excused


@pytest.mark.parametrize(("opens", "needless"), [(None, False), (1100.0, True)], ids=["locked to the end", "opened"])
def test_what_a_process_knew_alone_is_lost_only_with_the_applet_that_could_have_been_told(opens, needless):
    year = Year(scene(), Lamplighter)
    machine, known = year.machine, year.machine.server
    machine.wake()
    machine.set_keyring(is_open=False)
    if opens:
        machine.at(opens, lambda: machine.set_keyring(is_open=True))
    known.sign_in(0.0)
    machine.applet, second = machine.spawn(), machine.spawn()
    _, token = known.refresh("R1", 0.5)
    known.reached(token, 1.0)
    second.came.append(token)
    machine.run(1000.0)
    year._end_second(second)
    machine.run(2000.0)
    machine.kill(machine.applet)
    known.refresh("R1", 2001.0)

    assert known.blames(2001.0)[0] is needless


@pytest.mark.parametrize(("longest", "needless"), [(29.0, False), (30.0, True)])
def test_grace_that_could_have_been_used_is_held_against_the_program(longest, needless):
    lenient = server(GRACE, longest)
    lenient.refresh("R1", 10.0)
    assert lenient.refresh("R1", 69.0)[0].status == 200

    lenient = server(GRACE, longest)
    lenient.refresh("R1", 10.0)
    assert lenient.refresh("R1", 71.0)[0].status == 400
    assert lenient.blames(71.0)[0] is needless


@pytest.mark.parametrize(
    ("open_from", "open_until", "needless"),
    [(200.0, 200.0, False), (45.0, 200.0, False), (20.0, 200.0, True), (2.0, 8.0, True)],
    ids=["locked all along", "open too late", "open soon", "open once, for long enough to read"],
)
def test_grace_that_a_locked_keyring_kept_a_new_process_from_is_not(open_from, open_until, needless):
    """Seconds after the request whose answer the process did not live to see."""
    machine = Machine(scene(rules=GRACE), Counts())
    machine.wake()
    machine.set_network("up")
    machine.set_keyring(is_open=False)
    machine.spawn()
    known = machine.server
    known.sign_in(0.0)
    machine.at(10.0 + open_from, lambda: machine.set_keyring(is_open=True))
    machine.at(10.0 + open_until, lambda: machine.set_keyring(is_open=False))
    machine.run(10.0)
    known.refresh("R1", 10.0)[1].lost_by = "crash"
    machine.run(100.0)
    known.refresh("R1", 100.0)

    assert known.blames(100.0)[0] is needless


@pytest.mark.parametrize(("longest", "needless"), [(299.0, False), (300.0, True)])
def test_an_idle_end_is_needless_where_there_was_time_to_refresh(longest, needless):
    idle = server(Rules("strict", 0.0, HOUR, 7 * 24 * HOUR, None, tells_end=False), longest)

    assert idle.blames(8 * 24 * HOUR) == (needless, "idle")


# -- a life, and how it is counted


def test_a_year_is_the_same_each_time_and_another_number_is_another_year():
    assert life_of(4) == life_of(4)
    assert life_of(4).events != life_of(8).events


def test_a_crash_between_the_answer_and_its_storing_is_counted_as_the_providers_rule():
    life = scene(*asks(START, START + 4 * HOUR), faults=[(START + 20 * MINUTE, "death", ("save", 5.0))])
    story, counts = played(life, "Lamplighter")

    assert any("before `save`" in line for line in story)
    assert (counts.needless, counts.unavoidable) == (Counter(), Counter({"crash": 1}))
    assert counts.asked == counts.answered


@pytest.mark.parametrize("step", ["lock", "read", "note", "send", "saved", "noted"])
def test_a_crash_at_any_other_step_costs_nothing(step):
    life = scene(*asks(START, START + 4 * HOUR), faults=[(START + 20 * MINUTE, "death", (step, 5.0))])
    _, counts = played(life, "Lamplighter")

    assert (counts.deaths, counts.sign_ins) == (1, 0)
    assert counts.asked == counts.answered


def test_batches_are_kept_and_taken_up_again(tmp_path):
    results = tmp_path / "results.jsonl"
    first = [tally for _, tally in run(2, ["on demand"], results, jobs=1)]
    lines = results.read_text(encoding="utf-8")
    again = [tally for _, tally in run(2, ["on demand"], results, jobs=1)]

    assert len(lines.splitlines()) == 1
    assert results.read_text(encoding="utf-8") == lines
    assert again == first


def test_the_table_tells_all_that_was_counted():
    tally = added([lived([0], ["on demand"]), lived([1], ["on demand"])])

    assert "2 laptop-years, 1 on strict rotation" in held(tally)
    assert "| needless sign-ins | " in table(tally)
