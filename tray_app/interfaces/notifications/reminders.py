"""Notifications beside "sign in": a new sign-in may help, or the sign-in ends in some days."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from tray_app.core.claude_code import is_watched
from tray_app.core.events import HealthChanged, SignInChanged
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.phrasing import clock_time, day
from tray_app.core.ports import Screen
from tray_app.core.status import AccountStatus
from tray_app.engine.managed_account import ManagedAccount
from tray_app.interfaces.notifications.incidents import Incidents

NO_SIGN_IN = timedelta(hours=1)
"""A sign-in that is said to end sooner than this after each answer is an idle limit, which each refresh puts off."""
WARNED = "warned_of"
"""The key under which the facts say that the person was warned; kept over a restart."""


class IncidentScreen(Screen, Protocol):
    """The applet, which has the incidents as well."""

    incidents: Incidents


def remind(
    screen: IncidentScreen, managed: ManagedAccount, event: HealthChanged | SignInChanged, now: datetime
) -> None:
    """Shows the reminder that the event calls for, if any."""
    if is_watched(managed.account):
        from tray_app.interfaces.notifications.claude_code_reminders import remind as remind_of_claude_code

        remind_of_claude_code(screen, managed, event, now)
    elif isinstance(event, HealthChanged):
        if managed.is_turned_away:
            reason = msg("{failure}; maybe a new sign-in helps", failure=event.reason or "")
            screen.incidents.begin(event.account, reason)
        _warn(screen, managed, event.status, now)


def _warn(screen: Screen, managed: ManagedAccount, status: AccountStatus, now: datetime) -> None:
    """Warns once, without urgency, that the sign-in itself will end (.github/CONTRACT.md, section 4: `ending`)."""
    name, end = status.name, status.sign_in_ends_at
    if status.health in {Health.FRESH, Health.SIGNED_OUT, Health.SIGN_IN_NEEDED}:
        if managed.notes.forget(WARNED):
            screen.untell(f"ending:{name}")
        return
    lasts = managed.sign_in_lasts
    if status.health is not Health.ENDING or end is None or lasts is None or lasts < NO_SIGN_IN:
        return
    if not managed.notes.is_news(WARNED, "ending"):
        return
    screen.tell(
        f"ending:{name}",
        msg("The sign-in of {name} ends soon", name=name),
        msg("It ends on {day}, {time}. Sign in when it suits you.", day=day(end, now), time=clock_time(end)[:5]),
        actions=[("sign-in", msg("Sign In"))],
        chosen=lambda _action: screen.sign_in(name),
        otherwise=msg("Click the lamp in the panel, then {name} > Sign In.", name=name),
    )
