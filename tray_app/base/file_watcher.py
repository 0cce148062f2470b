"""Reports changes of the configuration file from the system's file events: idle, it uses no CPU.

Folders are watched, not the file: an editor that saves by rename puts another file in its place. Where a folder is not
there yet, the nearest one above it is watched until it is; where the file is a symlink, its target is watched as well.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tray_app.base.log import LOG

QUIET = 0.2
"""Seconds without an event after which a change counts as done: an editor's save is several events."""
LONGEST = 1.0
"""Seconds after the first event when a change is reported even if events keep coming."""


@dataclass(frozen=True)
class Watched:
    """The names that matter, by folder."""

    folders: frozenset[Path]
    names: frozenset[str]


class _Events(Protocol):
    def close(self) -> None:
        """Stops; no event follows."""


class FileWatcher:
    """Calls `changed` in the loop when the file at `path` was created, written, replaced, chmod'ed or removed."""

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self._path = path.absolute()
        self._changed = changed
        self._events: _Events | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._first = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watches from now on: read the file after this. Called, like `close`, in the loop's thread.

        Where the system cannot watch, that is logged.
        """
        self._loop = loop
        self._watch()

    def close(self) -> None:
        """`changed` is not called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._events is not None:
            self._events.close()
            self._events = None

    def _watch(self) -> None:
        watched: Watched | None = None
        while (wanted := self._wanted()) != watched:  # again: a folder may have been created in between
            self.close()
            try:
                self._events = (Inotify if sys.platform == "linux" else Watchdog)(self._loop, wanted, self._happened)
            except FileNotFoundError:
                continue  # a folder has just gone
            except OSError as error:
                LOG.warning("Changes of %s are taken up at the next start only: %s", self._path, error.strerror)
                return
            watched = wanted

    def _wanted(self) -> Watched:
        found = [_nearest(self._path), _nearest(Path(os.path.realpath(self._path)))]
        return Watched(frozenset(each.parent for each in found), frozenset(each.name for each in found))

    def _happened(self) -> None:
        if self._events is None:
            return  # queued before `close`
        now = self._loop.time()
        if self._timer is None:
            self._first = now
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + QUIET, self._first + LONGEST), self._tell)

    def _tell(self) -> None:
        self._watch()  # first, to miss nothing: folders or symlinks may have changed
        self._changed()


def _nearest(path: Path) -> Path:
    """The path, or its nearest ancestor whose parent folder exists."""
    while not path.parent.is_dir():
        path = path.parent
    return path


class Inotify:
    """Linux: read in the loop itself, without a thread (man 7 inotify). A quarter of watchdog's memory."""

    _MASK = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
    """IN_MODIFY, ATTRIB, CLOSE_WRITE, MOVED_FROM, MOVED_TO, CREATE, DELETE, DELETE_SELF, MOVE_SELF: not reads."""
    _HEAD = struct.Struct("iIII")
    """Watch, mask, cookie, and the length of the name that follows."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watched: Watched, happened: Callable[[], None]) -> None:
        self._loop = loop
        self._happened = happened
        # Without a name it is about the folder itself, or events were lost.
        self._names = {b"", *map(os.fsencode, watched.names)}
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = _checked(libc.inotify_init())
        try:
            os.set_inheritable(self._descriptor, False)
            for folder in watched.folders:
                _checked(libc.inotify_add_watch(self._descriptor, os.fsencode(folder), self._MASK))
        except OSError:
            os.close(self._descriptor)
            raise
        loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Ends the watches with their descriptor."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        events = os.read(self._descriptor, 65_536)
        at, names = 0, set()
        while at < len(events):
            *_, length = self._HEAD.unpack_from(events, at)
            at += self._HEAD.size + length
            names.add(events[at - length : at].rstrip(b"\0"))
        if names & self._names:
            self._happened()


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Watchdog:
    """Windows and macOS: watchdog's threads wait in ReadDirectoryChangesW and FSEvents."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watched: Watched, happened: Callable[[], None]) -> None:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                if event.event_type in {"opened", "closed_no_write"}:
                    return  # only a read, possibly our own
                paths = [Path(os.fsdecode(path)) for path in (event.src_path, event.dest_path)]
                gone = event.event_type == "deleted" and not watched.folders.isdisjoint(paths)
                if gone or not watched.names.isdisjoint(path.name for path in paths):
                    loop.call_soon_threadsafe(happened)

        self._observer = Observer()
        for folder in watched.folders:
            self._observer.schedule(Handler(), str(folder))
        self._observer.start()

    def close(self) -> None:
        """Ends its threads."""
        self._observer.stop()
        self._observer.join()
