"""Reads what a person pastes into a terminal: a line of any length, also where it was broken over several."""

from __future__ import annotations

import atexit
import os
import select
import sys
from contextlib import suppress
from typing import Final

LONGEST: Final = 100_000
"""Bytes. A redirect URL of several kilobytes is ordinary: some providers put an id_token into it."""
PASTE_SECONDS: Final = 0.2
"""What follows a line break within this was pasted with it: nobody types so quickly."""
_END_OF_FILE, _ERASE, _KILL = b"\x04", (b"\x7f", b"\x08"), b"\x15"


def read_line(fd: int = 0) -> str:
    """The next line of standard input, or what there was before its end.

    Not through `sys.stdin`: a thread that waits in it makes the interpreter abort at its end.
    """
    with suppress(OSError):
        if sys.platform != "win32" and os.isatty(fd):
            return _from_terminal(fd)
    line = b""
    with suppress(OSError):
        while b"\n" not in line and len(line) < LONGEST and (piece := os.read(fd, 4096)):
            line += piece
    return line.partition(b"\n")[0].decode("utf-8", "replace")


if sys.platform != "win32":
    import termios

    def _from_terminal(fd: int) -> str:
        """In canonical mode a terminal cuts a line after 4,095 bytes, on macOS after 1,024; so it is left for a while.

        Erase, kill and end of file still do what they do there; Ctrl-C is a signal as ever.
        """
        before = termios.tcgetattr(fd)
        mode = termios.tcgetattr(fd)
        mode[3] &= ~termios.ICANON
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0

        def restore() -> None:
            with suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSADRAIN, before)

        termios.tcsetattr(fd, termios.TCSADRAIN, mode)
        atexit.register(restore)  # the browser's answer may come first: the process then ends while this waits
        try:
            return _joined(_typed(fd))
        finally:
            restore()
            atexit.unregister(restore)

    def _typed(fd: int) -> bytes:
        """What is typed or pasted up to a line break that nothing follows."""
        line = b""
        while len(line) < LONGEST:
            for byte in (os.read(fd, 4096) or _END_OF_FILE).replace(b"\r", b"\n"):
                key = bytes((byte,))
                if key == _END_OF_FILE:
                    return line
                if key in _ERASE:
                    line = line[:-1]
                elif key == _KILL:
                    line = b""
                else:
                    line += key
            if line.endswith(b"\n") and not select.select([fd], [], [], PASTE_SECONDS)[0]:
                break
        return line


def _joined(pasted: bytes) -> str:
    """One line of several: a mail program or a terminal has broken a URL, which holds no spaces."""
    return "".join(part.strip() for part in pasted.decode("utf-8", "replace").split("\n"))
