"""Draws the product's own icon, a lit lamp in the night, in every form that a platform wants, into `assets`.

`.venv/bin/python packaging/app_icon.py`: PNGs for hicolor folders and shops, .svg for whoever scales it, .ico for
Windows, .icns for macOS. All come from the shapes that the tray's lamps are drawn with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw
from svg import Svg, picture

from tray_app.interfaces.tray.drawing import ENLARGED, GRID, Colour, Drawing
from tray_app.interfaces.tray.icons import fresh

ASSETS = Path(__file__).parents[1] / "assets"
PNG_SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 20, 24, 32, 40, 48, 64, 256)
"""What Windows asks for at 100, 125, 150 and 200 %, in lists and on the desktop."""
ICNS_SIZES = (16, 32, 64, 128, 256, 512, 1024)

LIGHT: Colour = (255, 201, 71)
SKY: tuple[Colour, Colour] = ((52, 63, 104), (20, 25, 46))
"""The night, from above to below."""
ROUND = 3.4
"""The radius of the ground's corners, in units of the grid."""
LAMP = 0.8
"""How large the lamp is in the ground."""
GLOW = 6.4
"""How far its light reaches, in units of the grid."""
BRIGHTNESS = 0.38
MIDDLE = (8.0, 7.6)


def drawn(size: int) -> Image.Image:
    """The icon, RGBA, `size` pixels square. Small ones have a larger lamp: there is no room for night around it."""
    ground = _sky(size)
    ground.alpha_composite(_glow(size))
    edge = round(size * (LAMP if size >= 48 else 0.9))
    edge -= (size - edge) % 2  # in the middle of the pixels
    lamp = Drawing(edge, LIGHT)
    fresh(lamp)
    ground.alpha_composite(lamp.finished(rims=False), ((size - edge) // 2, (size - edge) // 2))
    ground.putalpha(Image.composite(ground.getchannel("A"), Image.new("L", ground.size), _corners(size)))
    return ground


def svg() -> str:
    """The same as text."""
    above, below, light = (f"rgb{colour}" for colour in (*SKY, LIGHT))
    definitions = (
        f'<defs><linearGradient id="sky" x2="0" y2="1"><stop stop-color="{above}"/>'
        f'<stop offset="1" stop-color="{below}"/></linearGradient>'
        f'<radialGradient id="glow"><stop stop-color="{light}" stop-opacity="{BRIGHTNESS}"/>'
        f'<stop offset="1" stop-color="{light}" stop-opacity="0"/></radialGradient></defs>'
    )
    ground = f'<rect width="{GRID}" height="{GRID}" rx="{ROUND}" fill="url(#sky)"/>'
    x, y = MIDDLE
    lamp = Svg(LIGHT)
    fresh(lamp)
    aside = GRID * (1 - LAMP) / 2
    return picture(
        definitions,
        ground,
        f'<circle cx="{x:g}" cy="{y:g}" r="{GLOW}" fill="url(#glow)"/>',
        lamp.group(f"translate({aside:g} {aside:g}) scale({LAMP})"),
    )


def written() -> Iterator[Path]:
    """The files, each once it is there."""
    ASSETS.mkdir(exist_ok=True)
    for size in PNG_SIZES:
        path = ASSETS / f"lamplighter-{size}.png"
        drawn(size).save(path, optimize=True)
        yield path
    for name, sizes in (("lamplighter.ico", ICO_SIZES), ("lamplighter.icns", ICNS_SIZES)):
        *others, largest = (drawn(size) for size in sizes)
        options = {"sizes": [(size, size) for size in sizes]} if name.endswith(".ico") else {}
        largest.save(ASSETS / name, append_images=others, **options)
        yield ASSETS / name
    path = ASSETS / "lamplighter.svg"
    path.write_text(svg(), encoding="utf-8")
    yield path


def _sky(size: int) -> Image.Image:
    lines = Image.linear_gradient("L").resize((size, size))
    above, below = (Image.new("RGBA", lines.size, colour) for colour in SKY)
    return Image.composite(below, above, lines)


def _glow(size: int) -> Image.Image:
    edge = round(2 * GLOW * size / GRID)
    light = Image.new("RGBA", (size, size), (*LIGHT, 0))
    disc = Image.radial_gradient("L").point(lambda far: max(0, 255 - far * 2**0.5) * BRIGHTNESS).resize((edge, edge))
    alpha = Image.new("L", light.size)
    alpha.paste(disc, tuple(round(at * size / GRID - edge / 2) for at in MIDDLE))
    light.putalpha(alpha)
    return light


def _corners(size: int) -> Image.Image:
    large = Image.new("L", (size * ENLARGED, size * ENLARGED))
    box = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, ROUND * large.width / GRID, fill=255)
    return large.resize((size, size), Image.Resampling.BOX)


if __name__ == "__main__":
    for file in written():
        print(file)
