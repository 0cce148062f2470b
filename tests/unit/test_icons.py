"""The lamp as it was drawn: what lies in icons.bin, and whether people can tell the looks apart."""

from __future__ import annotations

import functools
import itertools
from xml.parsers import expat

import pytest
from PIL import Image

from tests.builders import script
from tray_app.core.health import Health
from tray_app.core.ports import TrayView
from tray_app.interfaces.tray import icons
from tray_app.interfaces.tray.icon_set import COLOUR, SIGNING_IN, SIZES, STARTING, Lamp, look_of
from tray_app.interfaces.tray.icons import LAMPS

PANELS = {"dark": (38, 40, 44), "light": (246, 245, 244)}

drawn = functools.cache(icons.drawn)


def luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance (WCAG 2, 1.4.3)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


def test_every_health_and_an_open_sign_in_have_a_look_of_their_own() -> None:
    views = [TrayView(health=health) for health in Health]
    views += [TrayView(health=Health.EXPIRED, signing_in=True), TrayView(starting=True)]

    looks = [look_of(view) for view in views]

    assert set(looks) == set(COLOUR) == set(LAMPS)
    assert len(set(looks)) == len(views)


def test_a_sign_in_that_is_open_is_shown_instead_of_the_health() -> None:
    assert look_of(TrayView(health=Health.SIGN_IN_NEEDED, signing_in=True, starting=True)) == SIGNING_IN
    assert look_of(TrayView(health=Health.FRESH, starting=True)) == STARTING


@pytest.mark.parametrize("look", COLOUR)
def test_what_lies_in_icons_bin_is_what_the_description_draws(look: str) -> None:
    kept = b"".join(pixels for _, _, pixels in Lamp(look).pixmaps)
    new = b"".join(icons.argb(drawn(look, size)) for size in SIZES)

    assert len(kept) == len(new)
    off = sum(
        abs(a - b) > 24 for a, b in zip(kept, new, strict=True)
    )  # Pillow's edges differ a little between versions
    assert off < len(new) * 0.01, "draw them again: python -m tray_app.interfaces.tray.icons"


@pytest.mark.parametrize("look", COLOUR)
def test_pixmaps_are_argb_in_every_size(look: str) -> None:
    pixmaps = Lamp(look).pixmaps

    assert [(width, height, len(pixels)) for width, height, pixels in pixmaps] == [(s, s, s * s * 4) for s in SIZES]
    for size, _, pixels in pixmaps:
        middle = (size // 2 * size + size // 2) * 4
        assert tuple(pixels[middle : middle + 4]) == (255, *COLOUR[look])
        assert any(pixels[at] == 0 for at in range(0, len(pixels), 4)), "nothing of the panel shows through"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("look", COLOUR)
def test_the_middle_is_the_looks_colour(look: str, size: int) -> None:
    icon = drawn(look, size)
    half = size // 2

    around = {icon.getpixel((half + x, half + y)) for x, y in itertools.product((-1, 0), repeat=2)}

    assert around == {(*COLOUR[look], 255)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(COLOUR, 2)), ids=str)
def test_two_looks_differ_without_any_colour(one: str, other: str, size: int) -> None:
    def ink(look: str) -> list[bool]:
        """Where the lamp's own colour is, and nothing else of it."""
        icon = drawn(look, size)
        pixels = [icon.getpixel((x, y)) for y in range(size) for x in range(size)]
        return [max(abs(a - b) for a, b in zip(pixel, (*COLOUR[look], 255), strict=True)) < 40 for pixel in pixels]

    different = sum(a != b for a, b in zip(ink(one), ink(other), strict=True))

    assert different >= size * size * 0.02


@pytest.mark.parametrize("look", COLOUR)
def test_every_lamp_is_legible_on_dark_and_on_light_panels(look: str) -> None:
    rim = (24, 26, 31)

    assert contrast(COLOUR[look], PANELS["dark"]) >= 3  # WCAG 2, 1.4.11: three to one for graphics
    assert contrast(rim, PANELS["light"]) >= 3
    assert contrast(COLOUR[look], rim) >= 3
    icon = drawn(look, 32)
    on_light = Image.new("RGB", (32, 32), PANELS["light"])
    on_light.paste(icon, (0, 0), icon)
    dark = sum(luminance(on_light.getpixel((x, y))) < 0.15 for x in range(32) for y in range(32))
    assert dark >= 32, "no rim to see"


def test_colours_are_far_enough_apart_to_be_read_off_a_screen() -> None:
    for one, other in itertools.combinations(COLOUR.values(), 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 24


@pytest.mark.parametrize(("word", "ink"), [("white", 255), ("black", 0)])
@pytest.mark.parametrize("look", COLOUR)
def test_on_a_panel_of_one_colour_the_lamp_has_that_colour_and_keeps_its_shape(monkeypatch, look, word, ink) -> None:
    coloured = Lamp(look).pixmaps
    monkeypatch.setenv("LAMPLIGHTER_MONOCHROME", word)

    for (size, _, pixels), (_, _, before) in zip(Lamp(look).pixmaps, coloured, strict=True):
        shown = [pixels[at : at + 4] for at in range(0, len(pixels), 4) if pixels[at]]
        solid = sum(pixels[at] > 200 for at in range(0, len(pixels), 4))
        own = sum(
            max(abs(a - b) for a, b in zip(before[at : at + 4], (255, *COLOUR[look]), strict=True)) < 16
            for at in range(0, len(before), 4)
        )
        assert all(pixel[1:] == bytes((ink,) * 3) for pixel in shown)
        assert 0.9 * own <= solid <= own + size * size * 0.12, "the shape, its metal and its gleam"


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(COLOUR, 2)), ids=str)
def test_two_looks_differ_on_a_panel_of_one_colour(monkeypatch, one: str, other: str) -> None:
    monkeypatch.setenv("LAMPLIGHTER_MONOCHROME", "white")
    pairs = zip(Lamp(one).pixmaps, Lamp(other).pixmaps, strict=True)

    for (size, _, pixels), (_, _, others) in pairs:
        different = sum((a > 127) != (b > 127) for a, b in zip(pixels[::4], others[::4], strict=True))
        assert different >= size * size * 0.02


def test_a_word_that_is_no_colour_of_panels_changes_nothing(monkeypatch) -> None:
    coloured = Lamp(Health.FRESH).pixmaps
    monkeypatch.setenv("LAMPLIGHTER_MONOCHROME", "pink")

    assert Lamp(Health.FRESH).pixmaps == coloured


# -- the product's own icon

app_icon = script("app_icon")


@pytest.mark.parametrize("size", app_icon.PNG_SIZES)
def test_the_app_icon_is_what_its_description_draws(size: int) -> None:
    kept, new = (
        Image.open(app_icon.ASSETS / f"lamplighter-{size}.png").tobytes(),
        app_icon.drawn(size).tobytes(),
    )

    assert len(kept) == len(new)
    off = sum(abs(a - b) > 24 for a, b in zip(kept, new, strict=True))
    assert off < len(new) * 0.01, "draw it again: packaging/app_icon.py"


def test_every_form_of_the_app_icon_has_all_its_sizes() -> None:
    with (
        Image.open(app_icon.ASSETS / "lamplighter.ico") as ico,
        Image.open(app_icon.ASSETS / "lamplighter.icns") as icns,
    ):
        assert ico.info["sizes"] == {(size, size) for size in app_icon.ICO_SIZES}
        assert {width * scale for width, _, scale in icns.info["sizes"]} == {32, 64, 128, 256, 512, 1024}


def test_the_app_icons_svg_is_well_formed_and_says_the_same() -> None:
    text = (app_icon.ASSETS / "lamplighter.svg").read_text("utf-8")

    assert text == app_icon.svg(), "draw it again: packaging/app_icon.py"
    shapes: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _attributes: shapes.append(name)
    parser.Parse(text, True)
    assert shapes.count("rect") + shapes.count("polygon") == 1 + 1 + 1 + 5  # the ground; glass and screw; five rays


@pytest.mark.parametrize("size", [16, 256])
def test_the_app_icon_is_square_and_its_corners_are_round(size: int) -> None:
    icon = app_icon.drawn(size)

    assert icon.size == (size, size)
    assert icon.getpixel((0, 0))[3] < 255
    assert icon.getpixel((size // 2, size // 2)) == (*app_icon.LIGHT, 255)
