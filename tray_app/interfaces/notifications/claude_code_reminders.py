"""What a person is told of a watched account, beside what is told of every other."""

from __future__ import annotations

from datetime import datetime

from tray_app.adapters.claude_code.account import WatchedAccount
from tray_app.adapters.claude_code.command import in_terminal
from tray_app.core.errors import NoNewDate
from tray_app.core.health import Health
from tray_app.core.message import msg
from tray_app.core.phrasing import watched_words
from tray_app.core.ports import Screen
from tray_app.engine.events import Event


def notice(screen: Screen, watched: WatchedAccount, event: Event, now: datetime) -> None:
    """Warns, once, before the sign-in ends; where `claude auth login` brought none, offers to run it in a terminal."""
    name = watched.account.name
    if event.kind == "sign-in" and event.facts.get("error") == NoNewDate.name:
        screen.tell(
            f"terminal:{name}",
            msg("Claude Code is not signed in yet"),
            event.facts["message"],
            actions=[("terminal", msg("Run It in a Terminal"))],
            chosen=lambda _action: screen.post(lambda: in_terminal(watched.account)),
            otherwise="",
        )
    elif event.kind == "health" and event.facts["health"] != Health.ENDING:
        screen.untell(f"ending:{name}")
    elif event.kind == "health" and watched.notes.is_news("warned_of", event.facts["sign_in_ends_at"]):
        screen.tell(
            f"ending:{name}",
            msg("The sign-in of {name} ends soon", name=name),
            msg("Claude Code is {words}.", words=watched_words(Health.ENDING, watched.status().sign_in_ends_at, now)),
            actions=[("sign-in", msg("Sign In"))],
            chosen=lambda _action: screen.sign_in(name),
            otherwise=msg("Click the lamp in the panel, then {name} > Sign In.", name=name),
        )
