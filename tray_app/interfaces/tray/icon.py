"""The tray icon, a pystray icon on every platform: our StatusNotifierItem backend, or one of pystray's own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from tray_app.base.log import LOG
from tray_app.base.translation import translated
from tray_app.core.ports import MenuEntry, TrayView
from tray_app.interfaces.tray.icon_set import look_of

NAME: Final = "lamplighter"
TITLE_LIMIT: Final = 127
"""Windows' limit is 128 UTF-16 units with the final zero; pystray raises ValueError above it."""
LINE_LIMIT: Final = 100
"""Limit of a menu line: a provider's reason may be long."""
BALLOON_LIMITS: Final = (63, 255)


class IconTray:
    """A pystray icon."""

    renews_menu = False

    def __init__(self, icon: Any, picture: Callable[[str], Any], *, has_balloons: bool = False) -> None:
        self._icon = icon
        self._picture = picture
        self._has_balloons = has_balloons
        self._look = ""
        self._view = TrayView(starting=True)
        self._lock = threading.Lock()
        self._stopping = False
        self._chosen: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.show(self._view)

    def run(self, ready: Callable[[], None]) -> None:
        def appear(icon: Any) -> None:
            self._in_icons_thread(lambda: setattr(icon, "visible", True))
            if self._stopping:
                self._in_icons_thread(icon.stop)
            ready()

        threading.Thread(target=self._act, name="tray-menu", daemon=True).start()
        try:
            self._icon.run(appear)
        finally:
            self._chosen.put(None)

    def show(self, view: TrayView) -> None:
        self._in_icons_thread(lambda: self._show(view))

    def balloon(self, title: str, body: str) -> bool:
        if self._has_balloons:
            limits = BALLOON_LIMITS
            self._icon.notify(shortened(body, limits[1]), shortened(title, limits[0]))
        return self._has_balloons

    def stop(self) -> None:
        self._stopping = True  # stop() of an icon that does not run yet has no effect
        self._in_icons_thread(self._icon.stop)

    def _in_icons_thread(self, work: Callable[[], None]) -> None:
        """Most backends accept changes from any thread."""
        work()

    def _show(self, view: TrayView) -> None:
        with self._lock:
            self._view = view
            look = look_of(view)
            if look != self._look:
                self._look = look
                self._icon.icon = self._picture(look)
            self._icon.title = shortened(translated(view.tooltip), TITLE_LIMIT)
            self._icon.menu = self._menu(view.menu)

    def _menu(self, entries: Sequence[MenuEntry | None]) -> Any:
        from pystray import Menu, MenuItem

        return Menu(
            *(
                Menu.SEPARATOR
                if entry is None
                else MenuItem(
                    shortened(translated(entry.text), LINE_LIMIT),
                    self._menu(entry.below) if entry.below else self._choosing(entry.act),
                    checked=None if entry.ticked is None else lambda _item, ticked=entry.ticked: ticked,
                    default=entry.default,
                    enabled=entry.enabled and bool(entry.act or entry.below),
                )
                for entry in entries
            )
        )

    def _choosing(self, act: Callable[[], None] | None) -> Callable[[], None] | None:
        return (lambda: self._chosen.put(act)) if act else None

    def _act(self) -> None:
        """Runs the chosen entries one after another, outside the thread that draws the icon."""
        while act := self._chosen.get():
            try:
                act()
            except Exception:  # noqa: BLE001 - whatever it was, the next click must work
                LOG.exception("tray: a menu entry failed")


class StatusNotifierTray(IconTray):
    """Our own backend: the panel signals when it is about to open the menu."""

    renews_menu = True

    def __init__(self, icon: Any, picture: Callable[[str], Any]) -> None:
        super().__init__(icon, picture)
        icon.opening = self._opening

    def _opening(self) -> None:
        if self._view.renewed is not None:
            self._show(self._view.renewed())


class MacTray(IconTray):
    """AppKit accepts changes from the main thread only."""

    def _in_icons_thread(self, work: Callable[[], None]) -> None:
        if threading.current_thread() is threading.main_thread():
            work()
        else:
            from PyObjCTools import AppHelper  # type: ignore[import-not-found]  # there on macOS alone

            AppHelper.callAfter(work)


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` UTF-16 units, which is how Windows counts."""
    return text.encode("utf-16-le")[: limit * 2].decode("utf-16-le", "ignore")
