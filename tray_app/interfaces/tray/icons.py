"""Draws the lamp in all its looks and writes icons.bin: `python -m tray_app.interfaces.tray.icons`.

Each look has its own shape as well as its own colour, so that a small icon, a grey screen and a colour-blind person all
tell them apart:

    fresh           a lit bulb with rays all around
    ending          half of the rays have gone out
    retrying        a bulb within a circular arrow
    expired         a bulb with the hands of a clock
    sign-in-needed  a bulb drawn as an exclamation mark
    signed-out      a bulb and nothing else: unlit
    signing-in      a bulb drawn as a key
    starting        a bulb over three dots
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from PIL import Image

from tray_app.core.health import Health
from tray_app.interfaces.tray.drawing import DARK, Canvas, Drawing, on_circle
from tray_app.interfaces.tray.icon_set import COLOUR, ICONS, SIGNING_IN, SIZES, STARTING, packed

METAL: Final = (214, 218, 226)


def _glass(on: Canvas, x: float, y: float, radius: float, neck: float) -> None:
    """A bulb's glass around (x, y), narrowing down to `neck`."""
    half = round(radius / 2)
    on.disc(x, y, radius)
    wide, low = radius * 0.8, y + radius * 0.6
    on.polygon((x - wide, low), (x + wide, low), (x + half, neck), (x - half, neck))


def _bulb(on: Canvas, y: float, radius: float, *, lit: bool = True) -> None:
    """A bulb on its screw."""
    _glass(on, 8, y, radius, 12)
    if lit:
        on.shine(8, y, radius - 1)
    half = round(radius / 2)
    on.ink(METAL).box(8 - half, 13, 8 + half, 15)
    on.ink()


def rays(on: Canvas, *, right: bool) -> None:
    """Rays of a bulb at (8, 8), upwards and aside: those on the left, or all."""
    for side in (-1, 1) if right else (-1,):
        left_edge, right_edge = sorted((8 + side * 7.1, 8 + side * 5))
        on.box(left_edge, 7.3, right_edge, 8.7)
        slanting = -90 + side * 45
        on.ray(on_circle((8, 8), 5.3, slanting), on_circle((8, 8), 7.8, slanting), 1.5)
    if right:
        on.box(7.3, 0.7, 8.7, 2.7)


def fresh(on: Canvas) -> None:
    """A lit bulb with rays all around; the product's own icon shows it too."""
    _bulb(on, 8, 4)
    rays(on, right=True)


def _ending(on: Canvas) -> None:
    _bulb(on, 8, 4)
    rays(on, right=False)


def _retrying(on: Canvas) -> None:
    middle = (8, 8)
    on.arc(middle, 6.6, 2, 28, 300)
    on.polygon(*(on_circle(middle, radius, at) for radius, at in ((3.2, 300), (8.2, 300), (6.4, 354))), snap=False)
    on.disc(8, 8, 2.5)


def _expired(on: Canvas) -> None:
    _bulb(on, 6, 5, lit=False)
    on.ink(DARK).box(7.2, 2.4, 8.8, 6)
    on.box(7.2, 4.4, 11.2, 6)


def _sign_in_needed(on: Canvas) -> None:
    _glass(on, 8, 5, 4, 10)
    on.shine(8, 5, 3)
    on.disc(8, 13, 2)


def _signed_out(on: Canvas) -> None:
    _bulb(on, 6, 5, lit=False)


def _signing_in(on: Canvas) -> None:
    on.disc(8, 5, 4)
    on.disc(8, 4, 1.3, cut=True)
    on.box(7, 8, 9, 15)
    on.box(8, 10, 12, 12)
    on.box(8, 13, 12, 15)


def _starting(on: Canvas) -> None:
    _glass(on, 8, 5, 4, 11)
    for x in (3, 8, 13):
        on.box(x - 1, 13, x + 1, 15, round_by=0.7)


LAMPS: Final[Mapping[str, Callable[[Canvas], None]]] = {
    Health.FRESH: fresh,
    Health.ENDING: _ending,
    Health.RETRYING: _retrying,
    Health.EXPIRED: _expired,
    Health.SIGN_IN_NEEDED: _sign_in_needed,
    Health.SIGNED_OUT: _signed_out,
    SIGNING_IN: _signing_in,
    STARTING: _starting,
}


def drawn(look: str, size: int) -> Image.Image:
    """The lamp of this look, RGBA, `size` pixels square."""
    drawing = Drawing(size, COLOUR[look])
    LAMPS[look](drawing)
    return drawing.finished()


def argb(image: Image.Image) -> bytes:
    """The pixels as StatusNotifierItem wants them."""
    red, green, blue, alpha = image.split()
    return Image.merge("RGBA", (alpha, red, green, blue)).tobytes()


if __name__ == "__main__":
    ICONS.write_bytes(packed({look: b"".join(argb(drawn(look, size)) for size in SIZES) for look in LAMPS}))
    sys.stdout.write(f"{ICONS}\n")
