"""`lamplighter` as a person starts it, on a desktop with everything that theirs has, and the person in front of it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.desktop.chromium import Chromium
from tests.desktop.panel_session import (
    Notifications,
    Panel,
    PanelSession,
    missing_parts,
    panel_session,
    program,
    wait_for,
)
from tests.desktop.test_notifications import Desk
from tests.keyring_session import all_that_is_stored
from tests.servers.oidc_provider import OidcProvider
from tray_app.interfaces.tray.icon_set import COLOUR

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
TRAY = (0, 0, 120, 32)
"""The part of the screen where the panels of these sessions have their icons."""
MENU = (0, 45, 200, 120)
"""Where a menu hangs below the lamp."""
BESIDE = (600, 740)
"""A point of the screen where the pointer is in nobody's way."""
CONFIGURATION = """\
[accounts.work]
issuer = "{issuer}"
client_id = "{client_id}"
scopes = ["openid", "offline_access"]
authorization_parameters = {{ prompt = "consent" }}   # this provider gives a refresh token for nothing less
"""
CLOCK = """
    <property name="plugin-2" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-3" type="string" value="clock"/>"""
IDS = "".join(f'<value type="int" value="{number}"/>' for number in (1, 2, 3)) + "</property>"


class WholeApplet:
    """The applet with its panel, notification daemon, keyring and browser."""

    def __init__(self, desktop: PanelSession, desk: Desk, name: str) -> None:
        self.desktop = desktop
        self.desk = desk
        self.browser = Chromium(desktop)
        self.home = desktop.home / "lamplighter"
        self._name = name
        self._steps = 0
        self._process: subprocess.Popen[bytes] | None = None

    # the program

    def configure(self, provider: OidcProvider) -> None:
        """One account, `work`, at the provider."""
        self.home.mkdir(mode=0o700)
        text = CONFIGURATION.format(issuer=provider.issuer, client_id=provider.client_id)
        (self.home / "config.toml").write_text(text, encoding="utf-8")

    def start(self, **environment: str) -> None:
        """A double click on Lamplighter."""
        command = str(Path(sys.executable).with_name("lamplighter"))
        own = {"LAMPLIGHTER_HOME": str(self.home), "BROWSER": str(self.browser.program)}
        self._process = self.desktop.start(command, env=own | environment)

    def exit_code(self) -> int:
        """How it ended, once it has."""
        assert self._process is not None
        return self._process.wait(20)

    def processes(self) -> list[str]:
        """Every process that it started, itself included: they all have its home in their environment."""
        found, mark = [], f"LAMPLIGHTER_HOME={self.home}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return found

    # what is seen

    def lamp(self, look: str) -> tuple[int, int]:
        """Where the lamp is on the screen, once its middle has the look's colour: edges have many a grey."""

        def middle() -> tuple[int, int] | None:
            assert self._process is not None
            assert self._process.poll() is None, f"it has ended: {self._said()}"
            at = self.desktop.find_colour(COLOUR[look], TRAY)
            return (
                at
                if at and self.desktop.find_colour(COLOUR[look], (at[0] - 1, at[1] - 1, at[0] + 1, at[1] + 1))
                else None
            )

        at = wait_for(middle, f"the lamp to be {look}")
        assert at is not None
        return at

    def no_lamp(self, look: str) -> None:
        """Returns once nothing in the panel has the look's colour."""
        self.desktop.wait_for_no_colour(COLOUR[look], TRAY)

    def notified(self, count: int = 1) -> None:
        """Returns once so many notifications are on the screen, at rest."""
        wait_for(lambda: self.desk._still(count), f"{count} notifications instead of {self.desk.windows()}")

    def picture(self, step: str) -> None:
        """The screen as it is at this step, into tests/artifacts."""
        self._steps += 1
        ARTIFACTS.mkdir(exist_ok=True)
        self.desktop.screenshot(ARTIFACTS / f"applet-{self._name}-{self._steps:02}-{step}.png")

    def keep_traces(self) -> None:
        """How it ended, for whoever looks into a failure."""
        self.picture("end")
        (ARTIFACTS / f"applet-{self._name}.log").write_text(self._said(), encoding="utf-8")

    def _said(self) -> str:
        """Its log, and what it printed: nothing, where all is well."""
        said = (*self.home.glob("log/*"), *self.desktop.logs.glob("*-lamplighter.log"))
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in said)

    # what the person does

    def click_the_lamp(self, look: str) -> None:
        """A left click on the lamp; the pointer then goes out of the way."""
        self.desktop.click(*self.lamp(look))
        self.desktop.point(*BESIDE)

    def open_menu(self, look: str) -> None:
        """A right click on the lamp; returns once a menu hangs below it."""
        x, y = self.lamp(look)
        before = self.desktop.colours(MENU)
        self.desktop.click(x, y, button=3)
        wait_for(lambda: len(self.desktop.colours(MENU) - before) > 3, "the menu")

    def choose(self, *keys: str) -> None:
        """Walks through the open menu; returns once it shows where that led."""
        before = self.desktop.colours(MENU)
        self.desktop.key(*keys)
        wait_for(lambda: self.desktop.colours(MENU) - before, "the entry to be marked")

    def press_sign_in(self) -> None:
        """The Sign In of the notification."""
        self.notified()
        self.desk.sign_in()
        self.desktop.point(*BESIDE)

    # its secrets

    def in_keyring(self) -> dict[str, set[str]]:
        """The access and refresh tokens that secret-tool, a program of others, finds in the keyring."""
        stored = all_that_is_stored(self.desktop.env)
        return {kind: set(re.findall(rf'"{kind}": ?"([^"]+)"', stored)) for kind in ("access_token", "refresh_token")}

    def keyring_has_the_newest(self, provider: OidcProvider) -> set[str]:
        """All tokens in the keyring, once the refresh token that the provider gave last is among them.

        Only that one is `active` to the provider (RFC 7662): the older ones are used up.
        """
        endpoint = f"{provider.issuer}/token/introspection"
        held: dict[str, set[str]] = {}

        def is_active(token: str) -> bool:
            form = {"token": token, "token_type_hint": "refresh_token", "client_id": provider.client_id}
            return bool(httpx.post(endpoint, data=form, trust_env=False).raise_for_status().json()["active"])

        def has_it() -> bool:
            held.update(self.in_keyring())
            return any(map(is_active, held["refresh_token"]))

        wait_for(has_it, "the newest refresh token in the keyring")
        return held["access_token"] | held["refresh_token"]

    def written(self) -> str:
        """All that lies in its home, and all that it printed."""
        files = [path for path in (*self.home.rglob("*"), *self.desktop.logs.glob("*lamplighter*")) if path.is_file()]
        return "".join(path.read_bytes().decode(errors="replace") for path in files)


@contextlib.contextmanager
def whole_desktop(panel: Panel, notifications: Notifications, name: str) -> Iterator[WholeApplet]:
    """A desktop with all that the applet wants; the applet itself is not started yet."""
    others = [part for part in ("chromium", "chromedriver", "secret-tool") if program(part) is None]
    if missing := missing_parts(panel, notifications) + others:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with panel_session(None, keyring=True) as desktop:
        furnish(desktop)
        desk = Desk(desktop, notifications)
        desk.start_daemon()
        wait_for(lambda: desktop.owns("org.freedesktop.Notifications"), notifications)
        desktop.start_panel(panel)
        applet = WholeApplet(desktop, desk, name)
        desktop.point(*BESIDE)
        try:
            yield applet
        finally:
            applet.keep_traces()
            applet.browser.close()


def furnish(desktop: PanelSession) -> None:
    """A wallpaper, and a clock at the other end of Xfce's panel: the pictures are for people, too."""
    from PIL import Image, ImageOps
    from Xlib.display import Display

    with contextlib.closing(Display(desktop.env["DISPLAY"])) as display:
        screen = display.screen()
        root = screen.root
        size = screen.width_in_pixels, screen.height_in_pixels
        wallpaper = ImageOps.colorize(Image.linear_gradient("L").resize(size), (30, 46, 64), (96, 125, 142))
        pixmap = root.create_pixmap(*size, screen.root_depth)
        pixmap.put_pil_image(pixmap.create_gc(), 0, 0, wallpaper)
        root.change_attributes(background_pixmap=pixmap)
        root.clear_area()
        display.sync()
    xfce = desktop.home / ".config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml"
    text = xfce.read_text(encoding="utf-8")
    ids, plugins = '<value type="int" value="1"/></property>', '<property name="plugins" type="empty">'
    xfce.write_text(text.replace(ids, IDS).replace(plugins, f"{plugins}{CLOCK}"), encoding="utf-8")
