"""`RefreshTimer`: a coroutine on an APScheduler interval, with back-off. Public."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from tray_app.base.clock import WallClock
from tray_app.base.log import LOG
from tray_app.core.ports import Clock

LATEST = timedelta(hours=1)
"""A job that is later than this runs once, now."""


class _LaptopScheduler(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """Notices at each wake-up that the clock was set, which APScheduler does not.

    After the clock went back an hour an interval job would not run for an hour; after a jump of years it would count
    every run that was missed (both tried). Its timer itself is monotonic, so the wake-up comes in time.
    """

    def wakeup(self) -> None:
        now = datetime.now(UTC)  # noqa: TID251 - APScheduler's own clock
        for job in self.get_jobs():
            interval = getattr(job.trigger, "interval", None)
            if interval is None or job.next_run_time is None:
                continue
            if not -LATEST <= job.next_run_time - now <= interval + timedelta(seconds=1):
                job.modify(next_run_time=now)
        super().wakeup()


def new_scheduler() -> AsyncIOScheduler:
    """APScheduler as it has to be set for a laptop.

    Its own default forgets a job that a suspend made more than a second late; here a late job runs once
    (`misfire_grace_time=None`, coalesced) and never beside itself.
    """
    defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    return _LaptopScheduler(timezone=UTC, job_defaults=defaults)


class RefreshTimer:
    """Runs the coroutine `refresh` now and every `interval`; after a failure sooner, backing off.

    A failure is any exception of `refresh`: it is logged, and `refresh` runs again after `first`, doubling up to
    `limit` (never later than the interval would have it). `start` and `stop` belong to the event loop's thread and
    may be called in any state: a stop and start while `refresh` runs makes no second chain, and a run under way is
    never aborted. Lengths of time are seconds or timedeltas.
    """

    def __init__(
        self,
        refresh: Callable[[], Awaitable[object]],
        interval: float | timedelta,
        *,
        first: float | timedelta = 1.0,
        limit: float | timedelta = 300.0,
        at_start: bool = True,
        scheduler: AsyncIOScheduler | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._refresh = refresh
        self._interval = _time(interval)
        self._first = _time(first)
        self._limit = _time(limit)
        self._at_start = at_start
        self._given = scheduler
        self._scheduler: AsyncIOScheduler | None = None
        self._clock = clock or WallClock()
        self._failures = 0
        self._run_under_way: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._scheduler is not None

    def start(self) -> None:
        """Begins; does nothing where it has begun."""
        if self._scheduler is not None:
            return
        self._failures = 0
        self._scheduler = self._given or new_scheduler()
        if self._given is None:
            self._scheduler.start()
        first_run = {"next_run_time": self._now()} if self._at_start else {}
        # UTC: else it looks for the zone of this computer, and fails where the data of time zones is not installed.
        every = IntervalTrigger(seconds=self._interval.total_seconds(), timezone=UTC)
        self._scheduler.add_job(self._fire, every, id=self._id(), **first_run)

    def stop(self) -> None:
        """Ends timer and jobs; a run under way ends by itself and starts nothing after it."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is None:
            return
        if self._given is None:
            scheduler.shutdown(wait=False)
            return
        for job in (self._id(), self._id("retry")):
            try:
                scheduler.remove_job(job)
            except JobLookupError:
                continue  # no retry was planned

    async def _fire(self) -> None:
        # A task of our own: APScheduler cancels those of its executor when it shuts down. A coroutine, so that it
        # calls this in the loop and not in a thread.
        if self._run_under_way is None:  # else the run of an earlier start has not ended: it counts as this one
            self._run_under_way = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._refresh()
        except Exception as error:  # noqa: BLE001 - a failing job must never end the timer
            LOG.warning("refresh failed (%s); trying again", type(error).__name__)
            self._failures += 1
        else:
            self._failures = 0
        finally:
            self._run_under_way = None
        if self._failures and self._scheduler is not None and (wait := self._back_off()) < self._interval:
            retry = DateTrigger(self._now() + wait, UTC)
            self._scheduler.add_job(self._fire, retry, id=self._id("retry"), replace_existing=True)

    def _back_off(self) -> timedelta:
        ceiling = min(self._limit, self._first * float(2 ** min(self._failures, 32)))
        return max(self._first, ceiling * random.random())  # noqa: S311 - spreads load, guards nothing

    def _id(self, kind: str = "refresh") -> str:
        return f"{kind}:{id(self)}"

    def _now(self) -> datetime:
        return self._clock.now()


def _time(length: float | timedelta) -> timedelta:
    return length if isinstance(length, timedelta) else timedelta(seconds=length)
