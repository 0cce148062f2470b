"""Claude Code's credentials file as the engine watches it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tray_app.adapters.claude_code.command import command_of
from tray_app.adapters.claude_code.credentials_file import Stamp, credentials_file, read, stamp
from tray_app.core.account import Account
from tray_app.core.claude_code import Reading

if TYPE_CHECKING:
    from tray_app.base.file_watcher import FileWatcher


class ClaudeCredentials:
    """One account's file. Belongs to the event loop's thread."""

    may_be_in_keychain = sys.platform == "darwin"

    def __init__(self, account: Account) -> None:
        self.path = credentials_file(account)
        self._account = account
        self._watcher: FileWatcher | None = None

    def version(self) -> Stamp:
        """What tells one version of the file from another; None where there is no file that can be looked at."""
        return stamp(self.path)

    def read(self) -> Reading | None:
        """The dates in the file; None where there is no sign-in. Raises ValueError where half written, OSError."""
        return read(self.path)

    def watch(self, changed: Callable[[], None]) -> None:
        """Calls `changed` in the loop when the file has changed."""
        from tray_app.base.file_watcher import FileWatcher

        self._watcher = FileWatcher(self.path, changed)
        self._watcher.start(asyncio.get_running_loop())

    def close(self) -> None:
        """`changed` is not called again."""
        if self._watcher is not None:
            self._watcher.close()

    def check_program(self) -> None:
        """Raises `Misconfigured` where the person's own `claude` is not found. Slow: call it in a thread."""
        command_of(self._account)
