"""The only module that reads the wall clock."""

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
        """Seconds on a clock that cannot be set and keeps running while the machine sleeps."""
        if sys.platform == "win32":
            return time.monotonic()
        else:  # noqa: RET505 - so mypy knows which platform each branch is for
            # Linux's CLOCK_MONOTONIC and Python's choice on macOS stop during sleep; these do not.
            return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
