"""A small real Wayland desktop for tests: sway without a screen, drawn by the processor, with waybar and mako.

    with wayland_session(panel="waybar", notifications="mako") as desktop:
        at = desktop.wait_for_colour(COLOUR[Health.FRESH])
        desktop.click(*at, button=3)

All else is as in panel_session, `desktop.key` aside. There is no Xwayland: a program that needs X fails.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.desktop.panel_session import Box, Notifications, Panel, PanelSession, program, wait_for
from tests.desktop.virtual_pointer import VirtualPointer

SIZE = (1024, 768)
MAKO = (0x28, 0x55, 0x77)
"""The ground of mako's notifications."""
_ANOTHER_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""sway will not run as root, which test machines like to be."""
_SWAY = """\
xwayland disable
output HEADLESS-1 resolution {}x{} position 0 0
output * background #60707c solid_color
"""
_WAYBAR = """\
{"layer": "top", "position": "top", "height": 32, "modules-left": ["tray"], "tray": {"icon-size": 22}}
"""
_WAYBAR_STYLE = "window#waybar { background: #20242a; }\n"


class WaylandSession(PanelSession):
    """One running sway; made by `wayland_session`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._pointer: VirtualPointer | None = None
        self.env |= {
            "XDG_SESSION_TYPE": "wayland",
            "XDG_CURRENT_DESKTOP": "sway",
            "GDK_BACKEND": "wayland",
            "QT_QPA_PLATFORM": "wayland",
            "SWAYSOCK": str(self._runtime / "sway"),
            "WLR_BACKENDS": "headless",
            "WLR_RENDERER": "pixman",
        }
        config = self.home / ".config"
        for path, text in (
            (config / "sway/config", _SWAY.format(*SIZE)),
            (config / "waybar/config", _WAYBAR),
            (config / "waybar/style.css", _WAYBAR_STYLE),
            (config / "mako/config", f"background-color=#{bytes(MAKO).hex()}\n"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def start_display(self) -> None:
        """sway, once it draws, with a pointer."""
        self.start(*another_user(), "sway")
        wait_for(lambda: list(self._runtime.glob("wayland-*.lock")) and Path(self.env["SWAYSOCK"]).exists(), "sway")
        [lock] = self._runtime.glob("wayland-*.lock")
        self.env["WAYLAND_DISPLAY"] = lock.stem
        wait_for(self._draws, "sway to draw")
        self._pointer = VirtualPointer(lock.with_suffix(""), SIZE)

    def point(self, x: int, y: int) -> None:
        """Moves the pointer there."""
        assert self._pointer is not None
        self._pointer.move(x, y)

    def click(self, x: int, y: int, button: int = 1) -> None:
        """A click of the mouse: 1 left, 2 middle, 3 right."""
        assert self._pointer is not None
        self._pointer.click(x, y, button)

    def close(self) -> None:
        """Ends everything that was started here, last first."""
        if self._pointer:
            self._pointer.close()
        super().close()

    def _draws(self) -> bool:
        return subprocess.run(("grim", "-"), env=self.env, check=False, capture_output=True).returncode == 0

    def _grab(self, box: Box | None = None) -> Any:
        from PIL import Image

        grim = subprocess.run(("grim", "-t", "ppm", "-"), env=self.env, check=True, capture_output=True, timeout=30)
        return Image.open(io.BytesIO(grim.stdout)).convert("RGB").crop(box or (0, 0, *SIZE))


def another_user() -> tuple[str, ...]:
    """What to start sway with."""
    return _ANOTHER_USER if os.geteuid() == 0 else ()


@contextlib.contextmanager
def wayland_session(panel: Panel | None, *, notifications: Notifications | None = None) -> Iterator[WaylandSession]:
    """A desktop with these parts, each ready. Skips where it cannot be."""
    parts = ("sway", "grim", "unshare", "dbus-daemon", "dbus-send", panel, notifications)
    if missing := [part for part in parts if part and program(part) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if subprocess.run((*another_user(), "true"), check=False, capture_output=True).returncode:
        pytest.skip("only where the kernel lets root be another user in a namespace: sway refuses root")
    folder = Path(tempfile.mkdtemp(prefix="sway-"))  # short: a socket's path has at most 107 characters
    session = WaylandSession(folder)
    try:
        session.start_display()
        session.start_bus()
        if notifications:
            session.start_notifications(notifications)
        if panel:
            session.start_panel(panel)
        yield session
    finally:
        session.close()
        shutil.rmtree(folder, ignore_errors=True)
