"""Stores texts in a keyring so that they survive a kill at any moment and a limit on the size of an entry.

A text lies in one of two slots, `NAME/a` and `NAME/b`. A new one goes into the slot that is not in force, is read back,
and only then the old slot is emptied: keyring's macOS backend deletes before it adds, and a text of several entries is
torn when the process dies between two of them. The slot of the highest generation whose checksum is right is in force.
Who reads holds no lock: where another process writes meanwhile, the new slot may be looked at too early and the old one
too late.

Entry `NAME/SLOT` is a line "generation parts sha256", then the text. Where the backend limits the size, the text goes
on in `NAME/SLOT/1`, `/2` and so on, which are there without a gap whatever happens.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from tray_app.adapters.store.keyring_backend import Backend
from tray_app.base.log import LOG
from tray_app.core.errors import StoreUnavailable
from tray_app.core.message import msg

SERVICE = "lamplighter"
REMEDY = msg("Sign in again")
_HEADER = re.compile(r"(\d{1,18}) (\d{1,4}) ([0-9a-f]{64})\n", re.ASCII)
_HEADER_ROOM = 100


@dataclass(frozen=True, slots=True)
class _Generation:
    slot: str
    number: int
    text: str


class Slots:
    """Reads, writes and erases texts by name. `still_wanted` is called before each step and raises to stop there."""

    def __init__(self, backend: Backend, still_wanted: Callable[[], None]) -> None:
        self._entries = backend.entries
        self._part_size = backend.part_size
        self._backend_name = backend.name
        self._still_wanted = still_wanted

    def read(self, name: str) -> str | None:
        """The current text; None where there never was one. Raises `StoreUnavailable` where only torn ones are left."""
        found, damaged = self._in_force(name)
        if found is None:  # or it was moved to the slot that was read first, meanwhile
            found, damaged = self._in_force(name)
        if found is not None:
            if damaged:
                LOG.warning("%s: the newest entry in the keyring is torn; the one before it is used", name)
            return found.text
        if damaged:
            raise StoreUnavailable(msg("What the keyring holds for this account is damaged"), REMEDY)
        return None

    def write(self, name: str, text: str) -> None:
        """Replaces the text; returns once it was read back. Raises where that fails: the old one then remains."""
        old, _ = self._in_force(name)
        slot = "b" if old and old.slot.endswith("/a") else "a"
        self._fill(f"{name}/{slot}", old.number + 1 if old else 1, text)
        kept = self._generation(f"{name}/{slot}")
        if kept is None or kept.text != text:
            what = msg("The keyring {name} did not keep what was written to it", name=self._backend_name)
            remedy = msg("Choose another keyring in PYTHON_KEYRING_BACKEND or keyringrc.cfg")
            raise StoreUnavailable(what, remedy)
        # The new text is safe; if parts of the old one cannot be removed, the next write overwrites them.
        try:
            self._empty(f"{name}/{'b' if slot == 'a' else 'a'}")
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - backends raise what their platform does
            LOG.warning("%s: the entry before the new one could not be removed (%s)", name, type(error).__name__)

    def erase(self, name: str) -> None:
        """Erases both slots of the name."""
        for slot in "ab":
            self._empty(f"{name}/{slot}")

    def _in_force(self, name: str) -> tuple[_Generation | None, bool]:
        """The newest complete generation, and whether there is an incomplete one."""
        heads = {slot: self._get(slot) for slot in (f"{name}/a", f"{name}/b")}
        whole = [found for slot, head in heads.items() if head is not None and (found := self._generation(slot, head))]
        damaged = len(whole) < sum(head is not None for head in heads.values())
        return max(whole, key=lambda found: found.number, default=None), damaged

    def _generation(self, slot: str, head: str | None = None) -> _Generation | None:
        head = head or self._get(slot) or ""
        header = _HEADER.match(head)
        if header is None:
            return None
        number, parts, digest = int(header[1]), int(header[2]), header[3]
        pieces = [head[header.end() :]]
        for index in range(1, parts):
            piece = self._get(f"{slot}/{index}")
            if piece is None:
                return None
            pieces.append(piece)
        text = "".join(pieces)
        return _Generation(slot, number, text) if _digest(text) == digest else None

    def _fill(self, slot: str, number: int, text: str) -> None:
        size = self._part_size
        if size is None:
            first, more = text, []
        else:
            start = size - _HEADER_ROOM
            first, more = text[:start], [text[at : at + size] for at in range(start, len(text), size)]
        for index, piece in enumerate(more, 1):
            self._set(f"{slot}/{index}", piece)
        self._set(slot, f"{number} {len(more) + 1} {_digest(text)}\n{first}")
        self._shorten(slot, len(more) + 1)

    def _empty(self, slot: str) -> None:
        self._shorten(slot, 1)
        if self._get(slot) is not None:
            self._delete(slot)

    def _shorten(self, slot: str, parts: int) -> None:
        """Deletes the entries from `parts` on, the last one first, so that a kill leaves no gap."""
        if self._part_size is None:
            return
        end = next(index for index in count(parts) if self._get(f"{slot}/{index}") is None)
        for index in range(end - 1, parts - 1, -1):
            self._delete(f"{slot}/{index}")

    def _get(self, username: str) -> str | None:
        self._still_wanted()
        return self._entries.get_password(SERVICE, username)

    def _set(self, username: str, value: str) -> None:
        self._still_wanted()
        self._entries.set_password(SERVICE, username, value)

    def _delete(self, username: str) -> None:
        self._still_wanted()
        self._entries.delete_password(SERVICE, username)


def _digest(text: str) -> str:
    # a damaged entry may hold what is no text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
