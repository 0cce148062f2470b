"""Durations, times and healths as text for people."""

from __future__ import annotations

from datetime import datetime, timedelta

from tray_app.core.health import Health
from tray_app.core.message import joined, msg

HEALTH_IN_WORDS = {
    Health.FRESH: msg("fresh"),
    Health.ENDING: msg("sign-in ends soon"),
    Health.RETRYING: msg("retrying"),
    Health.EXPIRED: msg("expired, retrying"),
    Health.SIGN_IN_NEEDED: msg("sign-in needed"),
    Health.SIGNED_OUT: msg("signed out"),
}


_MONTHS = (
    msg("Jan"), msg("Feb"), msg("Mar"), msg("Apr"), msg("May"), msg("Jun"),
    msg("Jul"), msg("Aug"), msg("Sep"), msg("Oct"), msg("Nov"), msg("Dec"),
)  # fmt: skip


def span(time: timedelta) -> str:
    """A length of time, short and rounded down: "40 s", "47 min", "7 h", "3 days"."""
    seconds = max(0, int(time.total_seconds()))
    if seconds < 60:
        return msg("{count} s", count=seconds)
    if seconds < 3600:
        return msg("{count} min", count=seconds // 60)
    if seconds < 48 * 3600:
        return msg("{count} h", count=seconds // 3600)
    return msg("{count} days", count=seconds // 86400)


def clock_time(moment: datetime) -> str:
    """The moment as a local time of day, to the second where it is near: "14:05:09"."""
    return moment.astimezone().strftime("%H:%M:%S")


def day(moment: datetime, now: datetime) -> str:
    """The moment as a local day: "12 Dec"; "12 Dec 2027" where it is another year's."""
    local = moment.astimezone()
    date = msg("{day} {month}", day=local.day, month=_MONTHS[local.month - 1])
    return date if local.year == now.astimezone().year else joined(" ", (date, str(local.year)))


def watched_words(health: Health, sign_in_ends_at: datetime | None, now: datetime) -> str:
    """How Claude Code's sign-in is: "signed in until 12 Dec; Claude Code renews its own token"."""
    if health is Health.FRESH and sign_in_ends_at is None:
        return msg("signed in; Claude Code renews its own token")
    if health is Health.FRESH and sign_in_ends_at is not None:
        return msg("signed in until {day}; Claude Code renews its own token", day=day(sign_in_ends_at, now))
    if health is Health.ENDING and sign_in_ends_at is not None:
        time = clock_time(sign_in_ends_at)[:5]
        return msg("signed in until {day}, {time}", day=day(sign_in_ends_at, now), time=time)
    return HEALTH_IN_WORDS[health] if health is not Health.EXPIRED else msg("cannot be read")


def account_line(name: str, health: Health, expires_at: datetime | None, now: datetime) -> str:
    """An account's line in the menu: "work: fresh, 47 min left"."""
    words = HEALTH_IN_WORDS[health]
    if health in {Health.FRESH, Health.RETRYING} and expires_at is not None:
        return msg("{name}: {health}, {time} left", name=name, health=words, time=span(expires_at - now))
    return joined(": ", (name, words))
