"""When something was so: intervals of time, noted as they begin and end."""

from __future__ import annotations

NEVER = float("inf")


class Times:
    """In order, the last one maybe still open."""

    def __init__(self) -> None:
        self._times: list[list[float]] = []

    def note(self, now: float, *, is_so: bool) -> None:
        """From now on it is so, or not."""
        was_so = bool(self._times) and self._times[-1][1] == NEVER
        if is_so and not was_so:
            self._times.append([now, NEVER])
        elif was_so and not is_so:
            self._times[-1][1] = now

    def within(self, since: float, until: float) -> tuple[float, float]:
        """The longest and the whole time in which it was so between these moments."""
        longest = whole = 0.0
        for start, end in reversed(self._times):
            if end <= since:
                break
            length = min(end, until) - max(start, since)
            if length > 0:
                longest, whole = max(longest, length), whole + length
        return longest, whole

    def all_along(self, since: float, until: float) -> bool:
        """Whether it was so from the one to the other."""
        return any(start <= since and until <= end for start, end in self._times)
