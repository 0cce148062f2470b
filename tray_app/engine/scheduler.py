"""When accounts are looked at, and what is begun then.

`Heartbeat` is the timer, on APScheduler: two jobs, however many accounts there are, an interval job and one date job at
the next due moment. Both do the same: look at every account and plan anew. A job that is lost, late or set by a clock
that was wrong is therefore put right within one heartbeat (APScheduler alone is not safe against suspend and clock
changes). `Scheduler` looks at the accounts and starts what is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from apscheduler.jobstores.base import JobLookupError
from apscheduler.triggers.date import DateTrigger

from tray_app.base.log import LOG
from tray_app.core.ports import Clock
from tray_app.engine.managed_account import ManagedAccount
from tray_app.engine.refresh_timer import RefreshTimer, new_scheduler
from tray_app.engine.system_state import SystemState

HEARTBEAT = timedelta(seconds=30)
"""Two wake-ups a minute: the most an idle applet may cost, and the longest that a missed moment may last."""

_NEXT = "next"


class Plan(Protocol):
    """The timer: `Heartbeat`, or a test's hand."""

    def start(self) -> None:
        """Looks at once and from now on."""

    def plan(self, moment: datetime | None) -> None:
        """Looks at this moment too, besides every heartbeat."""

    def stop(self) -> None:
        """Ends timer and jobs."""


MakePlan = Callable[[Callable[[], datetime | None], Clock], Plan]


class Scheduler:
    """Looks at the accounts and starts what is due. Belongs to the event loop's thread.

    While nothing can have become due no account is looked at: a heartbeat costs a thousand accounts no more than one.
    """

    def __init__(
        self,
        clock: Clock,
        accounts: Callable[[], Iterable[ManagedAccount]],
        looked_at: Callable[[ManagedAccount], None],
    ) -> None:
        """`looked_at` is called with each account that is looked at: time alone may have changed its health."""
        self.system_state = SystemState(clock, accounts, self.replan)
        self.looked: Callable[[datetime], None] = lambda _: None
        """Called with the time at every look, thus at least at every heartbeat."""
        self._clock = clock
        self._accounts = accounts
        self._looked_at = looked_at
        self._plan: Plan | None = None
        self._replanning: asyncio.Handle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calm: tuple[datetime, datetime | None] | None = None
        """From when to when no account has to be looked at; a second None: until something changes."""

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._plan is not None

    @property
    def tasks(self) -> frozenset[asyncio.Task[Any]]:
        """What was begun and has not ended."""
        return frozenset(self._tasks)

    def start(self, make_plan: MakePlan) -> None:
        """Looks at once and from now on."""
        self._plan = make_plan(self.look, self._clock)
        self._plan.start()

    def stop(self) -> None:
        """Begins nothing new; what is under way goes on."""
        plan, self._plan = self._plan, None
        if plan is not None:
            plan.stop()
        self.system_state.close()

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs `work` as a task and plans anew at its end. A failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def replan_soon(self) -> None:
        """Once, however many accounts change in one moment: when the network is back, a thousand may."""
        if self._replanning is None:
            self._replanning = asyncio.get_running_loop().call_soon(self.replan)

    def replan(self) -> None:
        """Looks again, since something has changed."""
        self._replanning = None
        self._calm = None
        if self._plan is not None:
            self._plan.plan(self.look())

    def look(self) -> datetime | None:
        """Starts what is due and returns the next moment at which something will be."""
        self.system_state.notice_clock()
        moment = self._look(self._clock.now())
        self.looked(self._clock.now())
        return moment

    def _look(self, now: datetime) -> datetime | None:
        if self._calm is not None:
            since, until = self._calm
            if since <= now and (until is None or now < until):
                return until
        moments: list[datetime | None] = []
        is_calm = True
        for managed in self._accounts():
            due = managed.due()
            if due is not None and due <= max(now, self._clock.now()):  # "now" is a moment later
                is_calm = False
                if not managed.needs_network or self.system_state.may_ask(managed.account):
                    self.begin(managed.attend())
            elif due is not None:
                moments.append(due)
            is_calm = is_calm and not managed.needs_polling
            moments.append(managed.health_changes_at(now))
            self._looked_at(managed)
        next_moment = min((moment for moment in moments if moment is not None), default=None)
        self._calm = (now, next_moment) if is_calm else None
        return next_moment

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("a refresh ended in a way that was not foreseen", exc_info=error)
            return  # the next heartbeat tries again; at once it would fail at once
        self.replan_soon()


class Heartbeat:
    """Calls `look` at every heartbeat and at the planned moment. Belongs to the event loop's thread."""

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
        """Looks now and plans the next moment. A coroutine, so that APScheduler runs it in the loop and not in a
        thread.
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
