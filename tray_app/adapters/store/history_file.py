"""What happened in the last 30 days, one line each in `state/history.jsonl`: appended, compacted now and then.

A line is written in one go, so that a crash costs the last one at most; the next start begins a line of its own.
Only the applet writes here, of which there is one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

from tray_app.base.log import LOG
from tray_app.base.paths import private_folder, write_private
from tray_app.core.errors import Misconfigured
from tray_app.core.events import Event, HealthChanged, SignInChanged
from tray_app.core.history import KEPT, Entry, entries_between, from_lines, is_news, to_line
from tray_app.core.ports import Clock
from tray_app.core.status import rfc3339

LARGEST: Final = 1_000_000
"""Bytes, after which the file is compacted; it is never read beyond twice that."""


class History:
    """The file, and the last entry of each account. A failed write is logged once."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._written: dict[str, dict[str, Any]] = {}
        self._troubled = False

    def begin(self) -> None:
        """Compacts the file, reads each account's last entry, and records the start."""
        entries = self.entries()
        for entry in entries:
            self._learn(entry)
        self._compact(entries)
        self._append({"at": self._now(), "kind": "start"})

    def end(self) -> None:
        """Records the end."""
        self._append({"at": self._now(), "kind": "stop"})

    def happened(self, event: Event) -> None:
        """Records what is new in the event."""
        match event:
            case HealthChanged(account=name):
                before, status = self._written.get(name), event.status.as_json()
                for entry in entries_between(before, status, self._now()):
                    self._append(entry)
                self._written[name] = _with_the_failure_written(before, status)
            case SignInChanged(state="done"):
                self._append({"at": self._now(), "account": event.account, "kind": "sign-in"})
            case SignInChanged(state="failed"):
                entry = {"at": self._now(), "account": event.account, "kind": "sign-in-failed"}
                self._append(entry | {"message": event.message[:300]})
            case _:
                pass  # a sign-in that has started, an account that is gone

    def entries(self) -> list[Entry]:
        """What happened in the last 30 days, in order; empty where the file cannot be read."""
        try:
            about = self._path.lstat()
            if not stat.S_ISREG(about.st_mode):
                self._trouble(f"{self._path} is no file of ours")
                return []
            with self._path.open("rb") as file:
                file.seek(max(0, about.st_size - 2 * LARGEST))
                text = file.read(2 * LARGEST).decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._trouble(f"{self._path} cannot be read: {error.strerror}")
            return []
        return from_lines(text.split("\n"), self._clock.now() - KEPT)

    def _learn(self, entry: Entry) -> None:
        name = entry.get("account")
        if not isinstance(name, str):
            return
        written = self._written.setdefault(name, {"health": None, "last_refresh_at": None, "last_error": None})
        if entry["kind"] == "health":
            written["health"] = entry.get("health")
        elif entry["kind"] == "refresh":
            written |= {"last_refresh_at": entry["at"], "last_error": None}
        elif entry["kind"] == "failure":
            written["last_error"] = {"kind": entry.get("failure"), "message": entry.get("message"), "at": entry["at"]}

    def _compact(self, entries: list[Entry]) -> None:
        text = "".join(map(to_line, entries))
        while len(text) > LARGEST // 2:  # else the next lines would trigger compaction again
            entries = entries[len(entries) // 4 + 1 :]
            text = "".join(map(to_line, entries))
        try:
            if self._path.exists():
                write_private(self._path, text)
        except OSError as error:
            self._trouble(f"{self._path} cannot be written: {error.strerror}")
        except Misconfigured as error:
            self._trouble(error.what)

    def _append(self, entry: Entry) -> None:
        line = to_line(entry).encode()
        try:
            private_folder(self._path.parent)
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600
            )
            try:
                os.write(descriptor, line)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
        except OSError as error:
            self._trouble(f"{self._path} cannot be written: {error.strerror}")
            return
        except Misconfigured as error:
            self._trouble(error.what)
            return
        if size > LARGEST:
            self._compact(self.entries())

    def _now(self) -> str:
        return rfc3339(self._clock.now()) or ""

    def _trouble(self, what: str) -> None:
        if not self._troubled:
            LOG.warning("%s", what)
        self._troubled = True


def _with_the_failure_written(before: dict[str, Any] | None, status: dict[str, Any]) -> dict[str, Any]:
    """The status with the failure that was recorded last, for comparison with the next one."""
    error, written = status["last_error"], (before or {}).get("last_error")
    return status | {"last_error": error if error is None or is_news(written, error) else written}
