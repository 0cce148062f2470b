"""A notifier that remembers what a person would see, and lets a test be that person."""

from __future__ import annotations

from collections.abc import Callable

from tray_app.core.ports import Notification


class RecordingNotifier:
    """Held to the same promises as the real ones: tests/contract/test_notifier.py."""

    def __init__(self) -> None:
        self.has_actions = True
        self.works = True
        """False: this desktop has no notifications at the moment."""
        self.seen: list[Notification] = []
        """All that was ever shown, in order."""
        self._shown: dict[str, tuple[Notification, Callable[[str], None]]] = {}

    async def show(self, notification: Notification, chosen: Callable[[str], None]) -> bool:
        """Shows it in place of an earlier one of its key."""
        self._shown.pop(notification.key, None)
        if self.works:
            self._shown[notification.key] = (notification, chosen)
            self.seen.append(notification)
        return self.works

    async def withdraw(self, key: str) -> None:
        """Takes it away."""
        self._shown.pop(key, None)

    async def close(self) -> None:
        """Takes all away."""
        self._shown.clear()

    @property
    def titles(self) -> list[str]:
        """The titles that are on the screen."""
        return [notification.title for notification, _ in self._shown.values()]

    def press(self, title: str, action: str) -> None:
        """A click on a button; the notification closes, as on every desktop."""
        key = next(key for key, (notification, _) in self._shown.items() if notification.title == title)
        self._shown.pop(key)[1](action)

    def click_body(self, title: str) -> None:
        """A click beside the buttons."""
        notification = next(one for one, _ in self._shown.values() if one.title == title)
        self.press(title, notification.actions[0][0])
