"""Reads the clipboard for Paste Answer: only after a click, and only for the sign-in."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time

from tray_app.base.log import LOG
from tray_app.core.failure import plain

PATIENCE = 2.0
"""Seconds for the program that owns the clipboard to answer."""
_LONGEST = 65_536


def clipboard_text() -> str | None:
    """The text on the clipboard; None where there is none, or no clipboard. Call it from a worker thread."""
    if sys.platform == "win32":
        system = os.environ.get("SystemRoot", r"C:\Windows")  # noqa: SIM112 - Windows' own spelling
        shell = rf"{system}\System32\WindowsPowerShell\v1.0\powershell.exe"  # not one of the current folder
        return _told_by([shell, "-NoProfile", "-NonInteractive", "-Command", "Get-Clipboard -Raw"])
    elif sys.platform == "darwin":  # noqa: RET505 - mypy leaves out the other platforms' branches, not what follows them
        return _told_by(["/usr/bin/pbpaste"])
    else:
        program = shutil.which("wl-paste") if os.environ.get("WAYLAND_DISPLAY") else None
        found = _told_by([program, "--no-newline", "--type", "text/plain"]) if program else None
        return found if found is not None else _x_selection()


def _told_by(argv: list[str]) -> str | None:
    windowless = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows' alone
    try:
        done = subprocess.run(argv, capture_output=True, check=True, timeout=PATIENCE * 2, creationflags=windowless)
    except (OSError, subprocess.SubprocessError) as error:
        LOG.info("%s told nothing of the clipboard: %s", argv[0], type(error).__name__)
        return None
    return done.stdout[:_LONGEST].decode("utf-8", "replace")


def _x_selection() -> str | None:
    """The CLIPBOARD selection, as received from its owner (ICCCM, 2.4)."""
    if not os.environ.get("DISPLAY"):
        return None
    try:
        return _asked_of_owner()
    except Exception as error:  # noqa: BLE001 - no Xlib, no server, no cookie: each its own kind, some of Exception itself
        LOG.info("The clipboard of %s: %s", os.environ["DISPLAY"], plain(f"{type(error).__name__} {error}"))
        return None


def _asked_of_owner() -> str | None:
    from Xlib import X
    from Xlib.display import Display

    display = Display()
    try:
        window = display.screen().root.create_window(0, 0, 1, 1, 0, 0)
        atom = display.intern_atom
        window.convert_selection(atom("CLIPBOARD"), atom("UTF8_STRING"), atom("LAMPLIGHTER"), X.CurrentTime)
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            if not display.pending_events():
                select.select([display], [], [], left)
                continue
            event = display.next_event()
            if event.type == X.SelectionNotify:
                found = event.property and window.get_full_property(event.property, X.AnyPropertyType, _LONGEST)
                return bytes(found.value).decode("utf-8", "replace") if found and found.format == 8 else None
        return None
    finally:
        display.close()
