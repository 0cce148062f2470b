"""The lamp in real panels, seen on the screen and clicked with the mouse. Screenshots lie in tests/artifacts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.lamps import LARGE, LOOKS, PICTURE, THEMES, on_a_panel, side_by_side
from tests.desktop.panel_session import Panel, PanelSession, panel_session, wait_for
from tray_app.core.health import Health
from tray_app.interfaces.tray.icon_set import COLOUR, SIGNING_IN, STARTING

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "tests/artifacts"
HOSTS = ("xfce4-panel", "lxqt-panel")

PROGRAM = """
import json, sys, threading
from tray_app.core.health import Health
from tray_app.adapters.platform.desktop_session import find_session
from tray_app.interfaces.tray.backend import make_tray
from tray_app.core.ports import MenuEntry, TrayView

def say(word):
    print(word, flush=True)

def entry(word):
    return MenuEntry(word, lambda: say("chosen " + word), default=word == "Open Lamplighter")

def show(look, words):
    health = look if look in list(Health) else Health.EXPIRED
    account = MenuEntry(words, below=[entry("Sign In"), entry("Refresh_Now")])
    menu = [account, None, entry("Open Lamplighter"), MenuEntry("only words"), entry("Quit")]
    special = {"signing_in": look == "signing-in", "starting": look == "starting"}
    tray.show(TrayView(health=Health(health), tooltip=words, menu=menu, **special))

def obey():
    for line in sys.stdin:
        show(*json.loads(line))
    tray.stop()

session = find_session()
tray = make_tray(session)
threading.Thread(target=obey, daemon=True).start()
say("tray " + session.tray)
tray.run(lambda: say("ready"))
say("ended")
"""


class Lamp:
    """A process with our icon, shown what a test says."""

    def __init__(self, desktop: PanelSession) -> None:
        self._desktop = desktop
        environment = {"PYTHONPATH": str(ROOT)}
        self._child = desktop.start(sys.executable, "-c", PROGRAM, env=environment, stdin=subprocess.PIPE)
        self._log = max(desktop.logs.iterdir(), key=lambda path: int(path.name.partition("-")[0]))

    def show(self, look: str, words: str = "work: fresh") -> tuple[int, int]:
        """Shows it; where it is on the screen."""
        self.say(look, words)
        return self._desktop.wait_for_colour(COLOUR[look])

    def say(self, look: str, words: str = "work: fresh") -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([look, words]).encode() + b"\n")
        self._child.stdin.flush()

    def wait_for(self, word: str, times: int = 1) -> None:
        wait_for(lambda: self.words().count(word) >= times, f"{word!r} among {self.words}")

    def words(self) -> list[str]:
        return self._log.read_text(encoding="utf-8").splitlines()

    def quit(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        assert self._child.wait(20) == 0
        assert self.words()[-1] == "ended"


@pytest.fixture(scope="module", params=HOSTS)
def desktop(request: pytest.FixtureRequest) -> Iterator[PanelSession]:
    with panel_session(request.param) as session:
        yield session


@pytest.fixture
def lamp(desktop: PanelSession) -> Iterator[Lamp]:
    lamp = Lamp(desktop)
    lamp.wait_for("ready")
    yield lamp
    lamp.quit()
    for colour in COLOUR.values():
        desktop.wait_for_no_colour(colour)


def opened_menu(desktop: PanelSession, at: tuple[int, int], name: str) -> None:
    """Right click; returns once a menu hangs below the icon."""
    below = (0, 45, 200, 120)
    before = desktop.colours(below)
    desktop.click(*at, button=3)
    wait_for(lambda: len(desktop.colours(below) - before) > 3, "the menu")
    ARTIFACTS.mkdir(exist_ok=True)
    desktop.screenshot(ARTIFACTS / f"tray-{name}.png")


def test_the_lamp_has_the_colour_of_every_look(desktop: PanelSession, lamp: Lamp) -> None:
    for look in (*Health, SIGNING_IN, STARTING):
        at = lamp.show(look)
        assert max(abs(a - b) for a, b in zip(desktop.pixel(*at), COLOUR[look], strict=True)) <= 6


def test_a_left_click_does_the_default_entry(desktop: PanelSession, lamp: Lamp) -> None:
    at = lamp.show(Health.FRESH)

    desktop.click(*at)

    lamp.wait_for("chosen Open Lamplighter")


def test_a_menu_entry_is_chosen_by_keyboard(desktop: PanelSession, lamp: Lamp, request: pytest.FixtureRequest) -> None:
    at = lamp.show(Health.SIGN_IN_NEEDED, "work: sign-in needed")

    opened_menu(desktop, at, request.node.name)
    desktop.key("Up", "Return")

    lamp.wait_for("chosen Quit")


def test_an_entry_of_a_submenu_is_chosen_by_keyboard(
    desktop: PanelSession, lamp: Lamp, request: pytest.FixtureRequest
) -> None:
    at = lamp.show(Health.ENDING, "my_account: sign-in ends soon")

    opened_menu(desktop, at, request.node.name)
    desktop.key("Down", "Right")
    beside = (240, 30, 480, 120)
    wait_for(lambda: len(desktop.colours(beside)) > 3, "the submenu")
    desktop.screenshot(ARTIFACTS / f"tray-{request.node.name}.png")
    desktop.key("Down", "Return")

    lamp.wait_for("chosen Refresh_Now")


def test_an_open_menu_stays_open_while_its_words_change(
    desktop: PanelSession, lamp: Lamp, request: pytest.FixtureRequest
) -> None:
    at = lamp.show(Health.FRESH, "work: fresh, 47 min left")
    opened_menu(desktop, at, request.node.name)

    lamp.show(Health.RETRYING, "work: retrying, 46 min left")
    desktop.key("Up", "Return")

    lamp.wait_for("chosen Quit")


def test_after_a_panel_has_died_the_next_one_has_the_lamp(
    desktop: PanelSession, lamp: Lamp, request: pytest.FixtureRequest
) -> None:
    lamp.show(Health.FRESH)
    panel: Panel = request.node.callspec.params["desktop"]

    desktop.stop_panel()
    desktop.wait_for_no_colour(COLOUR[Health.FRESH])
    desktop.start_panel(panel)

    at = desktop.wait_for_colour(COLOUR[Health.FRESH])
    desktop.click(*at)
    lamp.wait_for("chosen Open Lamplighter")


@pytest.mark.parametrize("panel", HOSTS)
def test_started_before_the_panel_the_lamp_appears_with_it(panel: Panel) -> None:
    with panel_session(None) as desktop:
        lamp = Lamp(desktop)
        lamp.say(Health.EXPIRED)
        lamp.wait_for("ready")
        assert lamp.words()[0] == "tray none-yet"

        desktop.start_panel(panel)

        desktop.wait_for_colour(COLOUR[Health.EXPIRED])
        lamp.quit()


def test_every_look_is_there_on_a_dark_and_on_a_light_panel_side_by_side() -> None:
    with panel_session(None) as desktop:
        settings = desktop.home / ".config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml"
        text = settings.read_text(encoding="utf-8")
        for old, new in LARGE:
            assert old in text
            text = text.replace(old, new)
        settings.write_text(text, encoding="utf-8")
        lamps = [Lamp(desktop) for _ in LOOKS]
        for lamp, look in zip(lamps, LOOKS, strict=True):
            lamp.wait_for("ready")
            lamp.say(look)
        panels = []
        for theme in THEMES:
            desktop.env["GTK_THEME"] = theme
            desktop.start_panel("xfce4-panel")
            panels.append(on_a_panel(desktop))
            desktop.stop_panel()
        for lamp in lamps:
            lamp.quit()

    dark, light = (max(panel[Health.FRESH].getpixel((0, 0))) for panel in panels)
    assert dark < 80
    assert light > 200
    ARTIFACTS.mkdir(exist_ok=True)
    side_by_side(panels).save(ARTIFACTS / PICTURE, optimize=True)


def test_where_only_an_xembed_tray_is_there_pystrays_own_backend_shows_the_lamp() -> None:
    with panel_session("trayer") as desktop:
        lamp = Lamp(desktop)
        lamp.wait_for("ready")
        assert lamp.words()[0] == "tray xembed"

        lamp.show(Health.FRESH)
        lamp.show(Health.SIGN_IN_NEEDED)
        lamp.quit()


def test_in_an_xembed_tray_the_lamp_is_there_at_every_start_although_two_threads_change_it() -> None:
    with panel_session("trayer") as desktop:
        for _ in range(15):  # python-xlib, used by two threads, hung at one start in six
            lamp = Lamp(desktop)
            lamp.say(Health.FRESH)
            lamp.wait_for("ready")
            lamp.quit()
