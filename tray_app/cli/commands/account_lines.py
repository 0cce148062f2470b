"""An account as a line of `status`, once or in `--watch`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tray_app.core.health import Health
from tray_app.core.time_phrasing import account_line, watched_words

COLOURS = {
    Health.FRESH: "green",
    Health.ENDING: "yellow",
    Health.RETRYING: "yellow",
    Health.EXPIRED: "bright_red",
    Health.SIGN_IN_NEEDED: "red",
    Health.SIGNED_OUT: "bright_black",
}


def line_of(account: dict[str, Any], watched: frozenset[str], now: datetime) -> str:
    """An account in a line: "work: fresh, 47 min left". `watched` are those whose tokens another program keeps."""
    name, health = account["name"], Health(account["health"])
    key = "sign_in_ends_at" if name in watched else "expires_at"
    ends_at = account[key] and datetime.fromisoformat(account[key])
    if name in watched:
        return f"{name}: {watched_words(health, ends_at, now)}"
    return account_line(name, health, ends_at, now)


def now() -> datetime:
    """The time by the wall clock."""
    from tray_app.base.clock import WallClock

    return WallClock().now().astimezone(UTC)
