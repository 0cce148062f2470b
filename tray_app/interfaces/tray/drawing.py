"""Drawing primitives for the lamps: shapes on a 16 by 16 grid, hinted for their size in pixels, with rims.

Edges are moved to whole pixels of each size before they are drawn, many times enlarged, and reduced: 22 and 24 pixels
are as crisp as 16. A dark rim keeps bright colours legible on light panels, a faint light one around it keeps dark
colours legible on dark panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol, Self

from PIL import Image, ImageChops, ImageDraw

GRID: Final = 16
ENLARGED: Final = 8
DARK: Final = (24, 26, 31)
WHITE: Final = (255, 255, 255)
RIM: Final = {16: 0.9, 22: 1.0, 24: 1.0, 32: 1.2, 48: 1.7, 64: 2.2}
"""Width of the dark rim in pixels."""

Point = tuple[float, float]
Colour = tuple[int, int, int]


class Canvas(Protocol):
    """The surface that a lamp is drawn on: `Drawing`, or the SVG of packaging/svg.py. All in grid units."""

    def ink(self, colour: Colour | None = None) -> Self:
        """Sets the drawing colour; None is the look's own."""

    def disc(self, x: float, y: float, radius: float, *, cut: bool = False) -> None:
        """A filled circle; with `cut` it is taken away."""

    def box(self, left: float, top: float, right: float, bottom: float, *, round_by: float = 0.3) -> None:
        """A rectangle with its corners a little rounded."""

    def polygon(self, *points: Point, snap: bool = True) -> None:
        """A filled polygon."""

    def ray(self, begin: Point, end: Point, width: float) -> None:
        """A slanting bar."""

    def arc(self, middle: Point, radius: float, width: float, begin: float, end: float) -> None:
        """A piece of a ring, `radius` to its outer edge; degrees run clockwise from three o'clock."""

    def shine(self, x: float, y: float, radius: float) -> None:
        """A highlight on the glass, at sizes large enough for one."""


class Drawing:
    """An icon being drawn: shapes in grid units, each in the current colour."""

    def __init__(self, size: int, colour: Colour) -> None:
        self.size = size
        self._edge = size * ENLARGED
        self._ink = colour
        self._colour = colour
        self._image = Image.new("RGB", (self._edge, self._edge), colour)
        self._shape = Image.new("L", self._image.size)

    def ink(self, colour: Colour | None = None) -> Self:
        self._ink = colour or self._colour
        return self

    def disc(self, x: float, y: float, radius: float, *, cut: bool = False) -> None:
        box = self._round_box(x, y, radius)
        self._put(lambda draw, ink: draw.ellipse(box, fill=ink), cut=cut)

    def box(self, left: float, top: float, right: float, bottom: float, *, round_by: float = 0.3) -> None:
        (x, y), (to_x, to_y) = self._snapped(left, top), self._snapped(right, bottom)
        radius = round_by * self._edge / GRID
        self._put(lambda draw, ink: draw.rounded_rectangle((x, y, to_x - 1, to_y - 1), radius, fill=ink))

    def polygon(self, *points: Point, snap: bool = True) -> None:
        place = self._snapped if snap else self._placed
        placed = [place(x, y) for x, y in points]
        self._put(lambda draw, ink: draw.polygon(placed, fill=ink))

    def ray(self, begin: Point, end: Point, width: float) -> None:
        self.polygon(*bar(begin, end, width), snap=False)

    def arc(self, middle: Point, radius: float, width: float, begin: float, end: float) -> None:
        box, wide = self._round_box(*middle, radius), round(width * self.size / GRID) * ENLARGED
        self._put(lambda draw, ink: draw.arc(box, begin, end, fill=ink, width=wide))

    def shine(self, x: float, y: float, radius: float) -> None:
        if self.size >= 32:
            self.ink(gleam(self._colour)).arc((x, y), radius, 1, 190, 255)
            self.ink()

    def finished(self, *, rims: bool = True) -> Image.Image:
        """The icon, RGBA; without rims where its background is known."""
        if not rims:
            image = self._image.convert("RGBA")
            image.putalpha(self._shape)
            return image.resize((self.size, self.size), Image.Resampling.BOX)
        rim = RIM.get(self.size, self.size / 30) * ENLARGED
        dark, light = _grown(self._shape, rim), _grown(self._shape, rim * 1.8)
        image = Image.new("RGBA", self._image.size, (*WHITE, 0))
        image.putalpha(light.point(lambda value: value * 0.22))
        image = Image.composite(Image.new("RGBA", image.size, (*DARK, 225)), image, dark)
        image = Image.composite(self._image.convert("RGBA"), image, self._shape)
        return image.resize((self.size, self.size), Image.Resampling.BOX)

    def _put(self, paint: Callable[[Any, Any], None], *, cut: bool = False) -> None:
        paint(ImageDraw.Draw(self._shape), 0 if cut else 255)
        if not cut:
            paint(ImageDraw.Draw(self._image), self._ink)

    def _round_box(self, x: float, y: float, radius: float) -> tuple[float, float, float, float]:
        """A circle's box, with middle and radius in whole pixels. Pillow counts the far edges in."""
        x, y, radius = (round(value * self.size / GRID) * ENLARGED for value in (x, y, radius))
        return x - radius, y - radius, x + radius - 1, y + radius - 1

    def _snapped(self, x: float, y: float) -> Point:
        return round(x * self.size / GRID) * ENLARGED, round(y * self.size / GRID) * ENLARGED

    def _placed(self, x: float, y: float) -> Point:
        return x * self._edge / GRID, y * self._edge / GRID


def bar(begin: Point, end: Point, width: float) -> tuple[Point, Point, Point, Point]:
    """The corners of a bar from `begin` to `end`."""
    (x, y), (to_x, to_y) = begin, end
    length = math.hypot(to_x - x, to_y - y)
    across, along = -(to_y - y) / length * width / 2, (to_x - x) / length * width / 2
    return (
        (x + across, y + along),
        (to_x + across, to_y + along),
        (to_x - across, to_y - along),
        (x - across, y - along),
    )


def on_circle(middle: Point, radius: float, degrees: float) -> Point:
    """The point of a circle; degrees run clockwise from three o'clock."""
    angle = math.radians(degrees)
    return middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)


def gleam(colour: Colour) -> Colour:
    """The colour in bright light."""
    red, green, blue = ((value + 2 * 255) // 3 for value in colour)
    return red, green, blue


def _grown(shape: Image.Image, by: float) -> Image.Image:
    """The shape and everything within `by` pixels of it."""
    grown = shape
    for step in range(32):
        turn = math.tau * step / 32
        x, y = round(by * math.cos(turn)), round(by * math.sin(turn))
        moved = Image.new("L", shape.size)
        moved.paste(shape, (x, y))
        grown = ImageChops.lighter(grown, moved)
    return grown
