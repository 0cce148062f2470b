"""`RefreshTimer` on the real APScheduler and the real clock, in tenths of seconds; no duration is asserted."""

import asyncio
from datetime import timedelta

from tests.fakes.waiting import until
from tray_app import RefreshTimer
from tray_app.base.clock import WallClock
from tray_app.engine.refresh_timer import new_scheduler


class Work:
    """A coroutine that counts itself, fails when told to, and can be held up."""

    def __init__(self):
        self.runs = 0
        self.at_once = 0
        self.most_at_once = 0
        self.failing = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self):
        self.runs += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.go_on.wait()
            if self.failing:
                self.failing -= 1
                raise ConnectionError
        finally:
            self.at_once -= 1


async def test_it_runs_at_once_and_on_the_interval_until_it_is_stopped():
    work = Work()
    timer = RefreshTimer(work, 0.05)
    timer.start()
    await until(lambda: work.runs >= 4)
    timer.stop()
    runs = work.runs
    await asyncio.sleep(0.2)  # four intervals in which nothing may happen

    assert work.runs == runs
    assert not timer.running


async def test_a_failure_is_tried_again_before_the_interval_is_over():
    work = Work()
    work.failing = 2
    timer = RefreshTimer(work, timedelta(hours=1), first=0.02, limit=0.05)
    timer.start()
    await until(lambda: work.runs == 3)
    timer.stop()

    assert work.failing == 0


async def test_a_stop_and_start_while_it_runs_makes_no_second_chain():
    work = Work()
    timer = RefreshTimer(work, 0.05)
    work.go_on.clear()
    timer.start()
    await until(lambda: work.at_once)
    for _ in range(3):
        timer.stop()
        timer.start()
    await asyncio.sleep(0.2)  # four intervals of a run that hangs
    hanging = work.runs
    work.go_on.set()
    await until(lambda: work.runs >= 5)
    timer.stop()

    assert hanging == 1
    assert work.most_at_once == 1


async def test_a_stop_never_aborts_a_run_that_is_under_way():
    work = Work()
    done = asyncio.Event()

    async def refresh():
        await work()
        done.set()

    timer = RefreshTimer(refresh, 60)
    work.go_on.clear()
    timer.start()
    await until(lambda: work.at_once)
    timer.stop()
    work.go_on.set()

    await asyncio.wait_for(done.wait(), 20)


async def test_on_a_scheduler_that_it_was_given_it_leaves_other_jobs_alone():
    scheduler = new_scheduler()
    scheduler.start()
    scheduler.add_job(lambda: None, "interval", seconds=3600, id="other")
    work = Work()
    timer = RefreshTimer(work, 0.05, scheduler=scheduler, clock=WallClock())
    timer.start()
    timer.start()
    await until(lambda: work.runs >= 2)
    timer.stop()
    timer.stop()

    assert [job.id for job in scheduler.get_jobs()] == ["other"]
    scheduler.shutdown(wait=False)


async def test_it_runs_where_the_computer_s_time_zone_cannot_be_found_out(monkeypatch):
    monkeypatch.setattr("zoneinfo._tzpath.TZPATH", ())
    monkeypatch.setattr("tzlocal.unix._cache_tz", None)
    monkeypatch.setenv("TZ", "Nowhere/Known")
    work = Work()
    work.failing = 1
    timer = RefreshTimer(work, 60, first=0.01)
    timer.start()

    await until(lambda: work.runs >= 2)
    timer.stop()
