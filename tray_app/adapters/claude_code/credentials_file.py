"""Where Claude Code keeps its sign-in, and the two dates in there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tray_app.core.account import Account
from tray_app.core.claude_code import Reading, reading_of

_LARGEST: Final = 1_000_000
"""Bytes. The real one has some hundreds; what is larger is not read into memory."""
Stamp = tuple[int, int, int] | None


def folder_of(account: Account) -> Path:
    """Claude Code's folder: `directory`, else what `CLAUDE_CONFIG_DIR` says, else `~/.claude`."""
    folder = account.directory or os.environ.get("CLAUDE_CONFIG_DIR") or "~/.claude"
    return Path(folder).expanduser().absolute()


def credentials_file(account: Account) -> Path:
    """The file with the dates in it; on macOS there is none, as a rule."""
    return folder_of(account) / ".credentials.json"


def read(path: Path) -> Reading | None:
    """The dates in the file; None where there is no file or no sign-in in it.

    Raises ValueError where the file is only half written, OSError where it cannot be read; neither holds its text.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST:
            raise ValueError("not a file of Claude Code's")
        return reading_of(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        raise ValueError("not text") from None  # that error holds the tokens


def stamp(path: Path) -> Stamp:
    """What tells one version of a file from another; None where there is no file that can be looked at."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
