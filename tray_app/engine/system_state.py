"""Sleep, network and clock as the system tells of them, and what that means for the accounts.

Nothing is begun just before the machine sleeps, nor after it before there is a network: an answer that is lost on the
way may have been a rotated token. Loopback is always there. Where nothing is signalled, the heartbeat finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from tray_app.base.log import LOG
from tray_app.core.account import Account
from tray_app.core.ports import AnchoredClock, Clock
from tray_app.core.urls import is_loopback
from tray_app.engine.refresher import Refresher

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=1)
"""A clock that is slewed goes at another pace; one that is set jumps further than this between two looks."""
SLEEP_BEGINS: Final = 60.0
"""Seconds after which a sleep that was announced and never came is not waited for any more."""
NETWORK_COMES: Final = 15.0
"""The same for the network after a sleep: there may be none that anybody tells of."""


class SystemState:
    """What surrounds the accounts. Belongs to the event loop's thread."""

    def __init__(self, clock: Clock, refreshers: Callable[[], Iterable[Refresher]], look: Callable[[], None]) -> None:
        """`look` looks after every account, since something has changed."""
        self._clock = clock if isinstance(clock, AnchoredClock) else None  # asked once: it is slow to ask
        self._managed = refreshers
        self._look = look
        self._holding: asyncio.TimerHandle | None = None
        self._falls_asleep = False
        self._apart = self._wall_and_anchor()

    def may_ask(self, account: Account) -> bool:
        """Whether a refresh may begin now: not while the machine falls asleep, or wakes up and has no network yet."""
        if self._holding is None or self._falls_asleep:
            return self._holding is None
        endpoint = account.endpoints.token if account.endpoints else account.issuer
        return is_loopback(urlsplit(endpoint or "").hostname or "")

    async def happened(self, kind: str) -> None:
        """Takes note of "suspend", "resume", "network" or "clock". After a "suspend" it returns when the machine may
        sleep: every refresh under way has ended and is stored.
        """
        LOG.info("the system says: %s", kind)
        match kind:
            case "suspend":
                self._hold(SLEEP_BEGINS)
                self._falls_asleep = True
                await asyncio.gather(*(refresher.settle() for refresher in self._managed()))
            case "resume":
                self._hold(NETWORK_COMES)
                self.notice_clock()
                self._look()
            case _:
                self.notice_clock()
                if kind == "network":
                    self.close()
                for refresher in self._managed():
                    refresher.hurry()
                self._look()

    def notice_clock(self) -> None:
        """Dates anew what is known where the clock has gone back since the last call: no token lives longer by that."""
        before, self._apart = self._apart, self._wall_and_anchor()
        if before is None or self._apart is None:
            return
        ahead = self._apart - before
        if abs(ahead) <= STEP:
            self._apart = before  # what is little now may add up
        elif ahead < timedelta(0):
            LOG.warning("the clock has gone back by %d s", -ahead.total_seconds())
            for refresher in self._managed():
                refresher.set_back(-ahead)
        else:
            LOG.info("the clock has gone ahead by %d s", ahead.total_seconds())

    def close(self) -> None:
        """Waits for nothing more."""
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None

    def _hold(self, seconds: float) -> None:
        self.close()
        self._falls_asleep = False
        self._holding = asyncio.get_running_loop().call_later(seconds, self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        self._holding = None
        self._look()

    def _wall_and_anchor(self) -> timedelta | None:
        """How far the wall clock is from one that nobody can set; None where there is none."""
        if self._clock is None:
            return None
        return self._clock.now() - EPOCH - timedelta(seconds=self._clock.since_boot())
