"""The same shapes as `tray_app.interfaces.tray.drawing` draws, as text: SVG for whoever scales it."""

from __future__ import annotations

from tray_app.interfaces.tray.drawing import GRID, Colour, Point, bar, gleam, on_circle


class Svg:
    """One picture in the making, in grid units, nothing moved to any pixel."""

    size = 1024
    """As large as it is looked at: details that small icons go without are drawn."""

    def __init__(self, colour: Colour) -> None:
        self._colour = self._ink = colour
        self._elements: list[str] = []

    def ink(self, colour: Colour | None = None) -> Svg:
        """Draws in this from now on; None is the look's own colour."""
        self._ink = colour or self._colour
        return self

    def disc(self, x: float, y: float, radius: float, *, cut: bool = False) -> None:
        """A filled circle. What would be cut away has to lie open in the description: here nothing can be."""
        if not cut:
            self._put(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"')

    def box(self, left: float, top: float, right: float, bottom: float, *, round_by: float = 0.3) -> None:
        """A rectangle with its corners a little rounded."""
        place = f'x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}"'
        self._put(f'<rect {place} rx="{round_by:g}"')

    def polygon(self, *points: Point, snap: bool = True) -> None:  # noqa: ARG002 - Drawing's signature
        """A filled polygon."""
        self._put(f'<polygon points="{" ".join(f"{x:.3g},{y:.3g}" for x, y in points)}"')

    def ray(self, begin: Point, end: Point, width: float) -> None:
        """A slanting bar."""
        self.polygon(*bar(begin, end, width))

    def arc(self, middle: Point, radius: float, width: float, begin: float, end: float) -> None:
        """A piece of a ring, `radius` to its outer edge; degrees run clockwise from three o'clock."""
        radius -= width / 2
        (x, y), (to_x, to_y) = on_circle(middle, radius, begin), on_circle(middle, radius, end)
        path = f"M{x:.3g} {y:.3g}A{radius:g} {radius:g} 0 {int(end - begin > 180)} 1 {to_x:.3g} {to_y:.3g}"
        self._elements.append(f'<path d="{path}" fill="none" stroke="{_hex(self._ink)}" stroke-width="{width:g}"/>')

    def shine(self, x: float, y: float, radius: float) -> None:
        """A gleam on the glass."""
        self.ink(gleam(self._colour)).arc((x, y), radius, 1, 190, 255)
        self.ink()

    def group(self, transform: str) -> str:
        """All that was drawn, moved and scaled."""
        return "\n".join((f'<g transform="{transform}">', *self._elements, "</g>"))

    def _put(self, element: str) -> None:
        self._elements.append(f'{element} fill="{_hex(self._ink)}"/>')


def picture(*elements: str) -> str:
    """The elements as a file of their own."""
    return "\n".join((f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {GRID} {GRID}">', *elements, "</svg>\n"))


def _hex(colour: Colour) -> str:
    return "#" + bytes(colour).hex()
