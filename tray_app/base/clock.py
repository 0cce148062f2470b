"""The one door to the wall clock."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime


class WallClock:
    """The system's wall clock."""

    def now(self) -> datetime:
        """The time as an aware UTC datetime."""
        return datetime.now(UTC)  # noqa: TID251 - this is the door

    def since_boot(self) -> float:
        """Seconds on a clock that nobody can set and that goes on while the machine sleeps."""
        if sys.platform == "win32":
            return time.monotonic()
        else:  # noqa: RET505 - so mypy knows which platform each branch is for
            # Linux's monotonic clock stops in sleep, and so does Python's choice on macOS; these do not.
            return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
