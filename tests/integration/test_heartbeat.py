"""The heartbeat on the real APScheduler: it looks at the planned moment, and at every beat."""

import asyncio
from datetime import timedelta

import pytest

from tests.fakes.waiting import until
from tray_app.base.clock import WallClock
from tray_app.engine.scheduler import HEARTBEAT, Heartbeat


class Looks:
    def __init__(self):
        self.clock = WallClock()
        self.times = []
        self.next = None

    def __call__(self):
        self.times.append(self.clock.now())
        return self.next


async def test_it_looks_at_the_start_and_at_the_planned_moment():
    looks = Looks()
    moment = looks.clock.now() + timedelta(seconds=0.3)
    looks.next = moment
    scheduler = Heartbeat(looks, looks.clock)
    scheduler.start()
    await until(lambda: looks.times)
    looks.next = None
    await until(lambda: len(looks.times) == 2)
    scheduler.stop()

    assert looks.times[1] >= moment


async def test_a_moment_beyond_the_next_heartbeat_needs_no_job_of_its_own():
    looks = Looks()
    scheduler = Heartbeat(looks, looks.clock)
    scheduler.start()
    await until(lambda: looks.times)
    scheduler.plan(looks.clock.now() + 2 * HEARTBEAT)
    far = scheduler.jobs
    scheduler.plan(looks.clock.now() + HEARTBEAT / 2)
    near = scheduler.jobs
    scheduler.plan(None)

    assert (far, near, scheduler.jobs) == (1, 2, 1)
    scheduler.stop()


async def test_after_stop_there_is_no_job_and_no_look():
    looks = Looks()
    looks.next = looks.clock.now() + timedelta(seconds=0.1)
    scheduler = Heartbeat(looks, looks.clock)
    scheduler.start()
    await until(lambda: looks.times)
    scheduler.stop()
    scheduler.plan(looks.clock.now())
    seen = len(looks.times)
    await asyncio.sleep(0.3)  # the planned moment passes

    assert scheduler.jobs == 0
    assert len(looks.times) == seen


@pytest.mark.parametrize("hours", [1, -24 * 365], ids=["the clock went back", "the clock jumped ahead by a year"])
async def test_the_heartbeat_goes_on_after_the_clock_was_set(hours):
    looks = Looks()
    scheduler = Heartbeat(looks, looks.clock)
    scheduler.start()
    await until(lambda: looks.times)
    (heartbeat,) = scheduler._scheduler.get_jobs()
    heartbeat._modify(next_run_time=looks.clock.now() + timedelta(hours=hours))  # as the clock makes it seem
    scheduler._scheduler.wakeup()  # its timer is monotonic: this comes within one heartbeat by itself
    await until(lambda: len(looks.times) == 2)
    scheduler.stop()
