"""An account's history: the entries that follow from two successive statuses. They hold no secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tray_app.core.failure import plain
from tray_app.core.health import Health

Entry = dict[str, Any]
"""`at` (RFC 3339), `account`, `kind`: "health", "refresh", "failure", "sign-in", "sign-in-failed", "sign-out"; of the
program, without an account, "start" and "stop". With them `health`, `failure` (its kind) and `message`.
"""
KEPT: Final = timedelta(days=30)
MOST: Final = 5_000
"""Entries. One account with hourly tokens has 700 refreshes a month."""
AGAIN: Final = timedelta(hours=1)
"""The same failure is recorded once and then hourly, so that a week's outage is not two thousand entries."""


def entries_between(before: Mapping[str, Any] | None, after: Mapping[str, Any], now: str) -> Iterator[Entry]:
    """What happened between two of an account's objects of `status --json`; None where there was none before.

    A refresh and a failure have times of their own; everything else happened at `now`.
    """
    before = before or {}
    name = after["name"]
    refreshed = after["last_refresh_at"]
    if refreshed is not None and refreshed != before.get("last_refresh_at"):
        yield {"at": refreshed, "account": name, "kind": "refresh"}
    error = after["last_error"]
    if error is not None and is_news(before.get("last_error"), error):
        message = plain(error["message"], 300)
        yield {"at": error["at"], "account": name, "kind": "failure", "failure": error["kind"], "message": message}
    if after["health"] != before.get("health"):
        if after["health"] == Health.SIGNED_OUT and error is None and before.get("health"):
            yield {"at": now, "account": name, "kind": "sign-out"}
        yield {"at": now, "account": name, "kind": "health", "health": after["health"]}


def is_news(before: Mapping[str, Any] | None, error: Mapping[str, Any]) -> bool:
    """Whether this failure differs from the one recorded last, or `AGAIN` has passed since."""
    if before is None or (before["kind"], before["message"]) != (error["kind"], error["message"]):
        return True
    then, now = _moment(before["at"]), _moment(error["at"])
    return then is not None and now is not None and now - then >= AGAIN


def to_line(entry: Entry) -> str:
    """The entry as a line of the file."""
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")) + "\n"


def from_lines(lines: Iterable[str], since: datetime) -> list[Entry]:
    """The entries from then on, at most the last `MOST`. Torn or foreign lines are skipped."""
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("kind"), str):
            at = _moment(entry.get("at"))
            if at is not None and at >= since:
                found.append(entry)
    return found[-MOST:]


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment and moment.tzinfo else None
