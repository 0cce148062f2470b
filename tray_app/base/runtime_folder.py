"""Where socket and lock lie without `LAMPLIGHTER_HOME`. `lamplighter token` waits for it: `os` and `sys` alone."""

from __future__ import annotations

import os
import sys


def runtime_folder() -> str | None:
    """The path (contract, section 2); nothing is made. None on macOS, where the platform's own folder serves.

    What systemd, cron and `su` start has no `XDG_RUNTIME_DIR`; the folder that it would name is looked for, so that the
    command meets the applet of the desktop. Never below /tmp, where another user could have been first.
    """
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return f"{local}/Temp/lamplighter" if local else None
    elif sys.platform == "darwin":  # noqa: RET505 - so that the types of all platforms can be checked
        return None
    else:
        given = os.environ.get("XDG_RUNTIME_DIR", "")
        if given.startswith("/"):  # others are to be ignored (XDG Base Directory Specification)
            return f"{given}/lamplighter"
        usual = f"/run/user/{os.getuid()}"
        if _is_private(usual):
            return f"{usual}/lamplighter"
        state = os.environ.get("XDG_STATE_HOME", "")
        if not state.strip():
            state = os.path.expanduser("~/.local/state")  # noqa: PTH111 - pathlib costs what this module saves
        return f"{state}/lamplighter/run"


if sys.platform != "win32":

    def _is_private(path: str) -> bool:
        try:
            found = os.lstat(path)
        except OSError:
            return False
        return found.st_uid == os.getuid() and found.st_mode == 0o040700  # a folder, and nobody else's
