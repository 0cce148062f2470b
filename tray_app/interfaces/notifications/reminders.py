"""What a person is told beside "sign in": that they may want to, or that a sign-in will end in some days."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from tray_app.adapters.claude_code.account import WatchedAccount
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.phrasing import clock_time, day
from tray_app.core.ports import Screen
from tray_app.engine.events import Event
from tray_app.engine.refresher import Refresher
from tray_app.interfaces.notifications.incidents import Incidents

NO_SIGN_IN = timedelta(hours=1)
"""A sign-in that is said to end sooner than this after each answer is an idle limit, which each refresh puts off."""
WARNED = "warned_of"
"""What is noted of an account whose person was warned; kept over a restart."""


class IncidentScreen(Screen, Protocol):
    """The applet, which knows of incidents as well."""

    incidents: Incidents


def notice(screen: IncidentScreen, kept: Refresher | WatchedAccount, event: Event, now: datetime) -> None:
    """Looks whether the event is one of these, and tells it then."""
    if isinstance(kept, WatchedAccount):
        from tray_app.interfaces.notifications.claude_code_reminders import notice as watched_notice

        watched_notice(screen, kept, event, now)
    elif event.kind == "health":
        if kept.is_turned_away:
            reason = (event.facts["last_error"] or {}).get("message", "")
            screen.incidents.begin(kept.account.name, msg("{failure}; maybe a new sign-in helps", failure=reason))
        _warn(screen, kept, Health(event.facts["health"]), now)


def _warn(screen: Screen, refresher: Refresher, health: Health, now: datetime) -> None:
    """Says once, at leisure, that the sign-in itself will end (contract, section 4: `ending`)."""
    name, tokens = refresher.account.name, refresher.record.tokens
    if health in {Health.FRESH, Health.SIGNED_OUT, Health.SIGN_IN_NEEDED}:
        if refresher.notes.forget(WARNED):
            screen.untell(f"ending:{name}")
        return
    if health is not Health.ENDING or tokens is None or tokens.sign_in_ends_at is None:
        return
    if tokens.sign_in_ends_at - tokens.received_at < NO_SIGN_IN or not refresher.notes.is_news(WARNED, "ending"):
        return
    end = tokens.sign_in_ends_at
    screen.tell(
        f"ending:{name}",
        msg("The sign-in of {name} ends soon", name=name),
        msg("It ends on {day}, {time}. Sign in when it suits you.", day=day(end, now), time=clock_time(end)[:5]),
        actions=[("sign-in", msg("Sign In"))],
        chosen=lambda _action: screen.sign_in(name),
        otherwise=msg("Click the lamp in the panel, then {name} > Sign In.", name=name),
    )
