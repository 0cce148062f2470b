"""The lamp's looks: which one a view has, and its pre-rendered pixels.

`python -m tray_app.interfaces.tray.icons` drew the pixels in icons.bin, each look compressed by itself: a running
applet needs no drawing library (Pillow would cost 6 MB and 22 ms).

For a panel where all icons are of one colour, LAMPLIGHTER_MONOCHROME names that colour, "white" or "black": each look
is recognized by its shape alone then.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tray_app.core.health import Health
from tray_app.core.ports import TrayView

SIZES: Final = (16, 22, 24, 32, 48, 64)
"""Edge lengths in pixels: what panels ask for, from small ones to twice the usual density."""

SIGNING_IN: Final = "signing-in"
STARTING: Final = "starting"

COLOUR: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {
        Health.FRESH: (56, 193, 94),
        Health.ENDING: (255, 226, 61),
        Health.RETRYING: (247, 170, 18),
        Health.EXPIRED: (243, 108, 24),
        Health.SIGN_IN_NEEDED: (229, 42, 53),
        Health.SIGNED_OUT: (148, 152, 160),
        SIGNING_IN: (64, 146, 255),
        STARTING: (196, 201, 210),
    }
)
"""Each look's colour, solid in the middle of its icon at every size."""

MONOCHROME: Final = "LAMPLIGHTER_MONOCHROME"
INKS: Final[Mapping[str, int]] = MappingProxyType({"white": 255, "black": 0})
SOLID: Final = min(max(colour) for colour in COLOUR.values())
RIMS: Final = 100
"""No part of a look is as dark as this; its dark rim and what is drawn on it are. The faint rim is less opaque."""

ICONS: Final = Path(__file__).with_name("icons.bin")
_ENTRY: Final = struct.Struct(">16sII")
"""In icons.bin, one for each look: its name, where its pixels begin, how many compressed bytes they are."""


def look_of(view: TrayView) -> str:
    """The look's name, a key of `COLOUR`: an open sign-in outranks any health (.github/CONTRACT.md, section 4)."""
    if view.signing_in:
        return SIGNING_IN
    return STARTING if view.starting else view.health


@dataclass(frozen=True)
class Lamp:
    """One look; what pystray knows as the icon. Equal lamps need no redrawing."""

    look: str

    @cached_property
    def pixmaps(self) -> list[list[Any]]:
        """[width, height, ARGB bytes in network order] for each size: what StatusNotifierItem calls an IconPixmap."""
        with ICONS.open("rb") as file:
            entries = _ENTRY.iter_unpack(file.read(_ENTRY.size * len(COLOUR)))
            places = {name.rstrip(b"\0").decode(): (start, length) for name, start, length in entries}
            start, length = places[self.look]
            file.seek(start)
            pixels = zlib.decompress(file.read(length))
        ink = INKS.get(os.environ.get(MONOCHROME, ""))
        if ink is not None:
            pixels = in_one_colour(pixels, ink)
        found: list[list[Any]] = []
        for size in SIZES:
            found.append([size, size, pixels[: size * size * 4]])
            pixels = pixels[size * size * 4 :]
        return found


def in_one_colour(argb: bytes, ink: int) -> bytes:
    """The shape of what was drawn, without rims, all in the grey `ink`; what was dark in it is a hole."""
    found = bytearray()
    for at in range(0, len(argb), 4):
        alpha, brightness = argb[at], max(argb[at + 1 : at + 4])
        opaque = max(0, min(255, 255 * (alpha - RIMS) // (255 - RIMS)))
        bright = max(0, min(255, 255 * (brightness - RIMS) // (SOLID - RIMS)))
        found += bytes((opaque * bright // 255, ink, ink, ink))
    return bytes(found)


def packed(looks: Mapping[str, bytes]) -> bytes:
    """The contents of icons.bin for each look's pixels: ARGB, all `SIZES` one after the other."""
    compressed = {look: zlib.compress(pixels, 9) for look, pixels in looks.items()}
    start = _ENTRY.size * len(compressed)
    head = b""
    for look, body in compressed.items():
        head += _ENTRY.pack(look.encode(), start, len(body))
        start += len(body)
    return head + b"".join(compressed.values())
