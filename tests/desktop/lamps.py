"""Every look at once as it is seen in real panels, and a picture of them side by side."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageDraw, ImageFont

from tests.desktop.panel_session import PanelSession
from tray_app.core.health import Health
from tray_app.interfaces.tray.icon_set import COLOUR, SIGNING_IN

LOOKS = {
    Health.FRESH: "fresh",
    Health.ENDING: "ending",
    Health.RETRYING: "retrying",
    Health.EXPIRED: "expired",
    Health.SIGN_IN_NEEDED: "sign-in needed",
    Health.SIGNED_OUT: "signed out",
    SIGNING_IN: "signing in",
}
THEMES = ("Adwaita:dark", "Adwaita")
"""Of a dark and of a light panel."""
LARGE = (
    ('type="uint" value="32"', 'type="uint" value="48"'),
    (
        '<property name="square-icons"',
        '<property name="icon-size" type="int" value="36"/><property name="square-icons"',
    ),
)
"""Changes of Xfce's configuration that make panel and icons large."""
EDGE = 44
"""Pixels of the panel around each lamp that are in the picture."""
ENLARGED = 2
PICTURE = "lamps.png"
"""Among the artifacts."""
TEXT = 26
"""Pixels for the words below."""


def on_a_panel(desktop: PanelSession) -> dict[str, Image.Image]:
    """Each lamp as it is on the screen, with the panel around it; returns once they are all there."""
    middles = {look: desktop.wait_for_colour(COLOUR[look], (0, 0, 1024, 64)) for look in LOOKS}
    screen: Any = desktop._grab()
    half, height = EDGE // 2, 24
    return {look: screen.crop((x - half, height - half, x + half, height + half)) for look, (x, _) in middles.items()}


def side_by_side(panels: list[dict[str, Image.Image]]) -> Image.Image:
    """A row for each panel, a column for each look, its name below."""
    font = ImageFont.truetype("DejaVuSans.ttf", 13)
    edge, width = EDGE * ENLARGED, EDGE * ENLARGED + 24
    picture = Image.new("RGB", (width * len(LOOKS), edge * len(panels) + TEXT), "white")
    draw = ImageDraw.Draw(picture)
    for row, lamps in enumerate(panels):
        for column, (look, lamp) in enumerate(lamps.items()):
            ground = lamp.getpixel((0, 0))
            draw.rectangle((column * width, row * edge, (column + 1) * width, (row + 1) * edge), fill=ground)
            place = (column * width + (width - edge) // 2, row * edge)
            picture.paste(lamp.resize((edge, edge), Image.Resampling.BICUBIC), place)
            middle = (column * width + width // 2, edge * len(panels) + TEXT // 2)
            draw.text(middle, LOOKS[look], fill=(60, 62, 66), font=font, anchor="mm")
    return picture
