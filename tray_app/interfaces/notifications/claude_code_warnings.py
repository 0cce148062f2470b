"""Reminders for an account of Claude Code's, which another program signs in."""

from __future__ import annotations

from datetime import datetime

from tray_app.adapters.claude_code.command import in_terminal
from tray_app.core.errors import NoNewDate
from tray_app.core.events import HealthChanged, SignInChanged
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.ports import Screen
from tray_app.core.status import rfc3339
from tray_app.core.time_phrasing import watched_words
from tray_app.engine.managed_account import ManagedAccount


def remind(screen: Screen, managed: ManagedAccount, event: HealthChanged | SignInChanged, now: datetime) -> None:
    """Warns once before the sign-in ends; where `claude auth login` failed, offers to run it in a terminal."""
    name = event.account
    if isinstance(event, SignInChanged):
        if event.error == NoNewDate.name:
            screen.tell(
                f"terminal:{name}",
                msg("Claude Code is not signed in yet"),
                event.message,
                actions=[("terminal", msg("Run It in a Terminal"))],
                chosen=lambda _action: screen.post(lambda: in_terminal(managed.account)),
                otherwise="",
            )
    elif event.status.health is not Health.ENDING:
        screen.untell(f"ending:{name}")
    elif managed.notes.is_news("warned_of", rfc3339(event.status.sign_in_ends_at) or ""):
        screen.tell(
            f"ending:{name}",
            msg("The sign-in of {name} ends soon", name=name),
            msg("Claude Code is {words}.", words=watched_words(Health.ENDING, event.status.sign_in_ends_at, now)),
            actions=[("sign-in", msg("Sign In"))],
            chosen=lambda _action: screen.sign_in(name),
            otherwise=msg("Click the lamp in the panel, then {name} > Sign In.", name=name),
        )
