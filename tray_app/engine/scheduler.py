"""APScheduler runs what is due; a heartbeat recomputes it from facts.

Two jobs, however many accounts there are: a heartbeat (an interval job) and one date job at the earliest due moment.
Both do the same: look after every account and plan anew. A job that is lost, late or set by a clock that was wrong is
therefore put right within one heartbeat (APScheduler alone is not safe against suspend and clock changes).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.jobstores.base import JobLookupError
from apscheduler.triggers.date import DateTrigger

from tray_app.core.ports import Clock
from tray_app.engine.refresh_timer import RefreshTimer, new_scheduler

HEARTBEAT = timedelta(seconds=30)
"""Two wake-ups a minute: the most an idle lamp may cost, and the longest that a missed moment may last."""

_NEXT = "next"


class Plan(Protocol):
    """What calls the engine when something is due: APScheduler, or a test's hand."""

    def start(self) -> None:
        """Looks at once and from now on."""

    def plan(self, moment: datetime | None) -> None:
        """The next moment to look, besides every heartbeat."""

    def stop(self) -> None:
        """Ends timer and jobs."""


MakePlan = Callable[[Callable[[], datetime | None], Clock], Plan]


class Scheduler:
    """Calls `look` when something is due and at every heartbeat. Belongs to the event loop's thread."""

    def __init__(self, look: Callable[[], datetime | None], clock: Clock) -> None:
        """`look` starts what is due and returns the next moment at which something will be; it must not block."""
        self._look = look
        self._clock = clock
        self._scheduler = new_scheduler()
        self._heartbeat = RefreshTimer(self.replan, HEARTBEAT, scheduler=self._scheduler, clock=clock)
        self._planned: datetime | None = None

    def start(self) -> None:
        """Starts the heartbeat, which looks at once."""
        self._scheduler.start()
        self._heartbeat.start()

    def stop(self) -> None:
        """Ends timer and jobs; what is under way is not touched."""
        if self._heartbeat.running:
            self._heartbeat.stop()
            self._scheduler.shutdown(wait=False)

    @property
    def jobs(self) -> int:
        """How many jobs are planned; zero once stopped."""
        return len(self._scheduler.get_jobs()) if self._scheduler.running else 0

    async def replan(self) -> None:
        """Looks after what is due now and plans the next moment. A coroutine, so that APScheduler runs it in the loop
        and not in a thread.
        """
        self.plan(self._look())

    def plan(self, moment: datetime | None) -> None:
        """Wakes up at `moment` besides the heartbeat; None or a moment beyond the next heartbeat needs no job."""
        if not self._heartbeat.running:
            return
        if moment is not None and moment > self._clock.now() + HEARTBEAT:
            moment = None
        if moment == self._planned and (moment is None or self._scheduler.get_job(_NEXT)):
            return
        self._planned = moment
        if moment is not None:
            trigger = DateTrigger(moment, UTC)
            self._scheduler.add_job(self.replan, trigger, id=_NEXT, replace_existing=True)
            return
        try:
            self._scheduler.remove_job(_NEXT)
        except JobLookupError:
            return  # it has run
