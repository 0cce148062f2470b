"""What a process costs while nothing happens, as the kernel counts it."""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Idle:
    """A stretch of a process's life."""

    resident: float
    """MB at its end."""
    wakes: Counter[str]
    """How often each thread, by name and number, came back from waiting."""
    seconds: float

    @property
    def wakes_per_minute(self) -> float:
        """Of all threads together."""
        return self.wakes.total() * 60 / self.seconds


class Watched:
    """Counts from when it is made; looking does not wake the process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = _switches(pid)
        self._began = time.monotonic()

    def so_far(self) -> Idle:
        """The stretch from then to now."""
        wakes = _switches(self._pid) - self._before
        return Idle(resident(self._pid), wakes, time.monotonic() - self._began)


def resident(pid: int) -> float:
    """VmRSS in MB."""
    return _number((Path("/proc") / str(pid) / "status").read_text(), "VmRSS") / 1024


def _switches(pid: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for task in (Path("/proc") / str(pid) / "task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            name = (task / "comm").read_text().strip()
            found[f"{name} {task.name}"] = _number((task / "status").read_text(), "voluntary_ctxt_switches")
    return found


def _number(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    assert found is not None
    return int(found[1])
