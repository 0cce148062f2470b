"""Facts about accounts other than their tokens: one small JSON file each, without secrets."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from tray_app.base.log import LOG
from tray_app.base.paths import write_private
from tray_app.core.errors import Misconfigured

_VERSION = 1
_LARGEST = 65_536
"""Bytes. Ours are under one kB; a larger file is not ours and is not read."""


class FactsFolder:
    """Facts in `FOLDER/ACCOUNT.json`. Unreadable files count as empty; a failed write is logged once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._troubled = False

    def load(self, account: str) -> dict[str, Any]:
        """The facts as they were saved; empty where there are none. A file that is not ours is moved aside."""
        path = self._path(account)
        try:
            return _facts(path)
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            self._move_aside(path)
        except OSError as error:
            self._trouble(f"{path} cannot be read: {error.strerror}")
        return {}

    def save(self, account: str, facts: dict[str, Any]) -> None:
        """Stores the facts atomically."""
        text = json.dumps({"version": _VERSION, "facts": facts})
        try:
            write_private(self._path(account), text)
        except OSError as error:
            self._trouble(f"{self._path(account)} cannot be written: {error.strerror}")
        except Misconfigured as error:
            self._trouble(error.what)
        else:
            self._troubled = False

    def erase(self, account: str) -> None:
        """Forgets the account."""
        path = self._path(account)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._trouble(f"{path} cannot be removed: {error.strerror}")

    def _path(self, account: str) -> Path:
        # The suffix makes ordinary names of "." and "..", which the configuration allows.
        return self._folder / f"{account}.json"

    def _move_aside(self, path: Path) -> None:
        try:
            path.replace(path.with_name(f"{path.name}.broken"))
        except OSError as error:
            self._trouble(f"{path} is broken and cannot be moved aside: {error.strerror}")
        else:
            LOG.warning("%s could not be understood; it was moved aside to %s.broken", path, path.name)

    def _trouble(self, what: str) -> None:
        if not self._troubled:
            LOG.warning("%s", what)
        self._troubled = True


class MemoryFacts:
    """The same in memory, for `store = "memory"`."""

    def __init__(self) -> None:
        self._facts: dict[str, str] = {}

    def load(self, account: str) -> dict[str, Any]:
        """The facts as they were saved; empty where there are none."""
        facts: dict[str, Any] = json.loads(self._facts.get(account, "{}"))
        return facts

    def save(self, account: str, facts: dict[str, Any]) -> None:
        """Keeps a copy of the facts."""
        self._facts[account] = json.dumps(facts)

    def erase(self, account: str) -> None:
        """Forgets the account."""
        self._facts.pop(account, None)


def _facts(path: Path) -> dict[str, Any]:
    """The facts in the file. Raises ValueError (or RecursionError, on deep nesting) where it is not one of ours."""
    about = path.lstat()  # not stat: a symlink may point to a device or pipe, where reading never ends
    if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST:
        raise ValueError("not a file of ours")
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.get("version") != _VERSION or not isinstance(found.get("facts"), dict):
        raise ValueError("no facts of this version")
    facts: dict[str, Any] = found["facts"]
    return facts
