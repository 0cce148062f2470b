"""A mouse for a Wayland compositor that has none: a client of wlr-virtual-pointer-unstable-v1.

    pointer = VirtualPointer(runtime / "wayland-1", (1024, 768))
    pointer.click(900, 60)
    pointer.close()

It speaks the wire protocol itself: a message is the object's number, the length and opcode, and words of 32 bits.
xdotool knows X alone, and Debian 12 has no program that clicks under wlroots without a kernel's input device.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from pathlib import Path

BUTTONS = {1: 0x110, 2: 0x112, 3: 0x111}
"""As X counts them, to those of linux/input-event-codes.h."""
_DISPLAY = 1
"""The number of the one object that is there from the start; the client numbers the next ones without a gap."""
_GET_REGISTRY, _SYNC, _BIND, _CREATE_POINTER = 1, 0, 0, 0
_MOTION_ABSOLUTE, _BUTTON, _FRAME = 1, 2, 4
_PROTOCOL = "zwlr_virtual_pointer_manager_v1"
_PATIENCE = 20.0


class VirtualPointer:
    """One pointer, plugged in until it is closed."""

    def __init__(self, display: Path, size: tuple[int, int]) -> None:
        self._size = size
        self._numbers = itertools.count(_DISPLAY + 1)
        self._registry, self._pointer = next(self._numbers), 0
        self._globals: dict[str, int] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(str(display))
            self._plug_in()
        except BaseException:
            self.close()
            raise

    def _plug_in(self) -> None:
        self._send(_DISPLAY, _GET_REGISTRY, self._registry)
        self._settle()
        manager, self._pointer = next(self._numbers), next(self._numbers)
        name = _PROTOCOL.encode() + b"\0"
        padded = name + bytes(-len(name) % 4)
        which = struct.pack("=II", self._globals[_PROTOCOL], len(name)) + padded
        self._send(self._registry, _BIND, 1, manager, before=which)  # 1: the protocol's version
        self._send(manager, _CREATE_POINTER, 0, self._pointer)  # 0: the seat that is there
        self._settle()

    def move(self, x: int, y: int) -> None:
        """Puts it there."""
        self._send(self._pointer, _MOTION_ABSOLUTE, _now(), x, y, *self._size)
        self._send(self._pointer, _FRAME)
        self._settle()

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Puts it there, presses and lets go."""
        self.move(x, y)
        for pressed in (1, 0):
            self._send(self._pointer, _BUTTON, _now(), BUTTONS[button], pressed)
            self._send(self._pointer, _FRAME)
        self._settle()

    def close(self) -> None:
        """Unplugs it."""
        self._socket.close()

    def _send(self, target: int, opcode: int, *words: int, before: bytes = b"") -> None:
        body = before + struct.pack(f"={len(words)}I", *words)
        self._socket.sendall(struct.pack("=II", target, (len(body) + 8) << 16 | opcode) + body)

    def _settle(self) -> None:
        """Returns once the compositor has done all that it was sent."""
        callback = next(self._numbers)
        self._send(_DISPLAY, _SYNC, callback)
        while True:
            target, head = struct.unpack("=II", self._read(8))
            body = self._read((head >> 16) - 8)
            if target == callback:
                return
            if target == _DISPLAY and head & 0xFFFF == 0:
                raise ConnectionError(f"the compositor refuses it: {body[12:]!r}")
            if target == self._registry and head & 0xFFFF == 0:
                name, length = struct.unpack_from("=II", body)
                self._globals[body[8 : 8 + length - 1].decode()] = name

    def _read(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            if not (more := self._socket.recv(count - len(got))):
                raise ConnectionError("the compositor has gone")
            got += more
        return got


def _now() -> int:
    """Milliseconds, as the protocol counts them."""
    return time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF
