"""Opens the log or the configuration in the person's own program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tray_app.adapters.platform.browser import launch


def open_file(path: Path) -> bool:
    """Starts the default program for the text file, detached. False where there is none.

    Waits as little as `SystemBrowser.open`: call it from a worker thread.
    """
    if sys.platform == "win32":
        try:
            os.startfile(path)  # noqa: S606 - a file of ours; the shell's own way to its default program
            return True
        except OSError:  # Windows knows no program for .toml or .log
            pass
    return any(launch([*launcher, str(path.absolute())]) for launcher in _launchers())


def _launchers() -> Iterator[list[str]]:
    if sys.platform == "win32":
        yield [str(Path(os.environ["SYSTEMROOT"], "notepad.exe"))]
    elif sys.platform == "darwin":
        yield ["open"]
        yield ["open", "-t"]  # the default text editor, where no program has claimed this kind of file
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):  # else xdg-open's editor is invisible
        yield ["xdg-open"]
        yield ["gio", "open"]
