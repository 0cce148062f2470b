"""Chooses the best notification that this desktop can show at the moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tray_app.base.log import LOG
from tray_app.base.translation import translated
from tray_app.core.ports import Notification, Notifier
from tray_app.interfaces.notifications.native_notifier import NativeNotifier
from tray_app.interfaces.notifications.plain_notifier import PlainNotifier, plyer_says


class BestNotifier:
    """Tries each notifier in order, for each notification anew: a daemon that starts later is found."""

    def __init__(self, ways: Sequence[Notifier]) -> None:
        self.has_actions = False
        """Of what was shown last: nothing is asked before there is something to show, since asking starts a
        notification daemon, and at login maybe the wrong one.
        """
        self._ways = ways
        self._has_complained = False

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        """Shows it, in the desktop's language, the first way that works; False where none does."""
        notification = replace(
            notification,
            title=translated(notification.title),
            body=translated(notification.body),
            actions=[(identifier, translated(label)) for identifier, label in notification.actions],
            otherwise=translated(notification.otherwise),
        )
        for way in self._ways:
            if await way.show(notification, chosen):
                self.has_actions = way.has_actions
                self._has_complained = False
                return True
        self.has_actions = False
        if not self._has_complained:
            self._has_complained = True
            LOG.warning("This desktop shows no notifications; the lamp and `lamplighter status` tell the same.")
        return False

    async def withdraw(self, key: str) -> None:
        """Withdraws it, whichever notifier showed it."""
        for way in self._ways:
            await way.withdraw(key)

    async def close(self) -> None:
        """Takes all away and lets go of the desktop."""
        for way in self._ways:
            await way.close()


async def make_notifier(balloon: Callable[[str, str], bool]) -> Notifier:
    """desktop-notifier, else the tray's own balloon, else plyer, whose balloon would hang from an icon of its own.

    Belongs to the running loop; costs nothing until something is shown.
    """

    async def balloon_says(title: str, body: str) -> bool:
        return balloon(title, body)

    return BestNotifier([NativeNotifier(), PlainNotifier(balloon_says), PlainNotifier(plyer_says)])
