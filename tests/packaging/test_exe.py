"""The Windows installer and a Windows Python, under Wine: `python3 packaging/test.py --wine`.

Wine has no toasts, no access control worth the name, no limit of a credential's size and no SmartScreen; and its
shortcuts take no AppUserModelID.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import script
from tests.desktop.panel_session import PANEL_STRIP, Box, PanelSession, panel_session, wait_for
from tests.packaging.packages import BARE, ROOT, bill, built, pinned
from tray_app._version import __version__
from tray_app.core.health import Health
from tray_app.demo.story import StoryBrowser
from tray_app.interfaces.tray.icon_set import COLOUR

pytestmark = [
    pytest.mark.skipif(os.environ.get("LAMPLIGHTER_TEST_WINE") != "1", reason="only with packaging/test.py --wine"),
    pytest.mark.timeout(900),
]
WINE = ("bash", "-o", "pipefail", "-c", '"$@" </dev/null 2>&1 | cat', "bash", "wine")
"""Wine's programs want a pipe as their output."""
ARTIFACTS = ROOT / "tests/artifacts"
MB = 1e6
BOUND = 120.0
"""Seconds; generous: a program starts in two."""
BELOW: Box = (0, PANEL_STRIP[3], 1024, 768)
"""The screen without the panel."""


class Windows:
    """Wine on a display with an XEmbed tray."""

    def __init__(self, desktop: PanelSession) -> None:
        wine = script("wine")
        self.desktop = desktop
        self.python = wine.PYTHON / "python.exe"
        self.profile = Path(wine.VARIABLES["WINEPREFIX"], "drive_c/users", os.environ.get("USER", "root"))
        self.program = self.profile / "AppData/Local/Programs/Lamplighter"
        self.command = self.program / "lamplighter.exe"
        self.configuration = self.profile / "AppData/Local/lamplighter/config.toml"
        self.shortcut = self.profile / "AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Lamplighter.lnk"
        # What was installed for the tests was installed on Linux: in Windows its absence is a skip.
        not_all = {"LAMPLIGHTER_TEST_STRICT": "0"}
        self.environment = {**BARE, **wine.VARIABLES, **not_all, "DISPLAY": desktop.env["DISPLAY"]}

    def run(self, program: str | Path, *arguments: str, code: int = 0) -> str:
        """What the Windows program prints on both; it must end with `code`."""
        said = self.desktop.home / "said"
        with said.open("wb") as file, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file) as cat:
            assert cat.stdin is not None
            argv, streams = ["wine", str(program), *arguments], {"stdout": cat.stdin, "stderr": subprocess.STDOUT}
            done = subprocess.run(
                argv, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, timeout=600, check=False, **streams
            )
            cat.stdin.close()
            try:
                cat.wait(5)
            except subprocess.TimeoutExpired:  # Wine's own services, which the first program starts, have the pipe too
                cat.kill()
        text = said.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
        assert done.returncode == code, text
        return text

    def start(self, program: str | Path, *arguments: str) -> subprocess.Popen[bytes]:
        """The Windows program, on the desktop; ended with it."""
        return self.desktop.start(*WINE, str(program), *arguments, env=self.environment)

    def shut_down(self) -> None:
        """Ends what runs under this Wine."""
        subprocess.run(["wineserver", "--kill"], env=self.environment, check=False)  # 1 where nothing runs
        subprocess.run(["wineserver", "--wait"], env=self.environment, check=True)

    def install(self, installer: Path) -> None:
        self.run(installer, "/S")

    def remove(self, *options: str) -> None:
        # _?= is NSIS's: else the uninstaller copies itself, starts the copy and ends before it.
        in_place = rf"_?=C:\users\{self.profile.name}\AppData\Local\Programs\Lamplighter"
        self.run(self.program / "Uninstall.exe", "/S", *options, in_place)

    def is_running(self) -> bool:
        """Whether the applet answers at its pipe."""
        return '"running": true' in self.run(self.command, "status", "--json")

    def screenshot(self, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        self.desktop.screenshot(ARTIFACTS / f"windows-{name}.png")


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installer, _ = built("exe", tmp_path_factory.mktemp("dist"))
    return installer


@pytest.fixture(scope="module")
def windows(installer: Path) -> Iterator[Windows]:
    with panel_session("trayer") as desktop:
        windows = Windows(desktop)
        windows.shut_down()  # what was started before this display was there
        yield windows
        windows.shut_down()


@pytest.fixture
def installed(windows: Windows, installer: Path) -> Iterator[Windows]:
    windows.install(installer)
    yield windows
    if windows.command.exists():
        windows.remove("/CONFIGURATION")


@pytest.fixture
def opened(windows: Windows) -> Callable[[], str]:
    """The address that a Windows program has opened in the default browser, once there is one."""
    pages, program = windows.desktop.home / "pages", windows.desktop.home / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >> {pages}\n', encoding="utf-8")
    program.chmod(0o755)
    windows.run("reg", "add", r"HKCU\Software\Wine\WineBrowser", "/v", "Browsers", "/d", str(program), "/f")
    return lambda: (
        wait_for(lambda: pages.exists() and pages.read_text().endswith("\n"), "a page", BOUND)
        and (pages.read_text().splitlines()[-1])
    )


@pytest.mark.parametrize("folder", ["tests/unit", "tests/contract", "tests/windows"])
def test_what_holds_on_linux_holds_in_a_windows_python(windows: Windows, folder: str) -> None:
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", "--ignore=tests/unit/test_architecture.py"]

    assert " passed" in windows.run(windows.python, "-m", "pytest", *options, folder)


def test_it_is_installed_for_one_user_with_its_own_icon_and_in_less_than_60_mb(installed: Windows) -> None:
    icon = (ROOT / "assets/lamplighter.ico").read_bytes()
    programs = [(installed.program / name).read_bytes() for name in ("lamplighter.exe", "lamplighter-tray.exe")]
    size = sum(path.stat().st_size for path in installed.program.rglob("*") if path.is_file())

    assert installed.run(installed.command, "--version") == f"lamplighter {__version__}\n"
    assert "pystray" in (installed.program / "LICENCES.txt").read_text(encoding="utf-8")
    assert installed.shortcut.exists()
    assert all(image in program for program in programs for image in images_of(icon))
    assert size < 60 * MB


def test_its_sbom_lies_in_it_and_beside_it(installed: Windows, installer: Path) -> None:
    inside = (installed.program / "lamplighter.cdx.json").read_bytes()

    assert installer.with_name(f"{installer.name}.cdx.json").read_bytes() == inside
    named, versions = bill(inside), pinned()
    assert {"python", "pystray", "httpx", "watchdog"} <= set(named)  # Windows has watchdog, and no D-Bus
    assert "dbus-fast" not in named
    assert (named["httpx"], named["watchdog"]) == (versions["httpx"], versions["watchdog"])


def images_of(icon: bytes) -> list[bytes]:
    """The pictures of an .ico file: each entry of its directory ends with the size and place of one."""
    entries = [icon[at : at + 16] for at in range(6, 6 + 16 * int.from_bytes(icon[4:6], "little"), 16)]
    places = [(int.from_bytes(one[12:], "little"), int.from_bytes(one[8:12], "little")) for one in entries]
    return [icon[start : start + size] for start, size in places]


def test_the_lamp_is_clicked_to_sign_in_and_its_menu_to_quit(installed: Windows, opened: Callable[[], str]) -> None:
    desktop = installed.desktop
    screen = Screen(desktop)
    demo = installed.start(installed.program / "lamplighter-tray.exe", "demo", "--ttl", "900")
    at = desktop.wait_for_colour(COLOUR[Health.SIGNED_OUT], seconds=BOUND)
    screen.shown()  # a balloon
    installed.screenshot("signed-out")

    desktop.click(*at)
    person = StoryBrowser()
    person.open(opened())
    landed = asyncio.run(person.landed(BOUND))
    lit = desktop.wait_for_colour(COLOUR[Health.FRESH], seconds=BOUND)
    screen.shown()  # the next balloon
    installed.screenshot("fresh")
    screen.wait_until_bare()
    desktop.click(*lit, button=3)
    left, _, _, bottom = screen.shown(least=100)
    installed.screenshot("menu")
    desktop.click(left + 20, bottom - 12)  # its last entry

    assert demo.wait(BOUND) == 0
    assert "Signed in" in landed


class Screen:
    """What is shown below the panel, where there is nothing at first."""

    def __init__(self, desktop: PanelSession) -> None:
        self._desktop = desktop
        self._bare = self._seen()

    def shown(self, least: int = 1) -> Box:
        """The box that is not bare, once it stays the same and is so many pixels high."""

        def settled() -> Box | None:
            box = self._box()
            return box if box and box[3] - box[1] >= least and box == self._box() else None

        found = wait_for(settled, "something on the screen", BOUND)
        assert found is not None
        return found

    def wait_until_bare(self) -> None:
        wait_for(lambda: self._box() is None, "the balloon to go", BOUND)

    def _box(self) -> Box | None:
        from PIL import ImageChops

        found = ImageChops.difference(self._seen(), self._bare).getbbox()
        return found and (found[0], found[1] + BELOW[1], found[2], found[3] + BELOW[1])

    def _seen(self) -> Any:
        from PIL import Image

        with Image.open(self._desktop.screenshot(self._desktop.home / "seen.png")) as picture:
            return picture.crop(BELOW)


def test_the_story_is_played_and_the_next_login_starts_the_applet(installed: Windows) -> None:
    assert "All went as told." in installed.run(installed.command, "demo", "--story")
    installed.run(installed.command, "autostart", "on")
    assert installed.run(installed.command, "autostart", "status") == "on\n"
    login = installed.start("wineboot")  # what Wine has of one; it ends with what it has started
    installed.desktop.wait_for_colour(COLOUR[Health.SIGNED_OUT], seconds=BOUND)
    installed.screenshot("after-login")
    is_running = installed.is_running()
    installed.run(installed.command, "quit")

    assert is_running
    assert login.wait(BOUND) == 0
    assert not installed.is_running()


def test_an_update_and_a_removal_end_the_applet_and_leave_the_configuration(
    installed: Windows, installer: Path
) -> None:
    installed.configuration.parent.mkdir(exist_ok=True)
    installed.configuration.write_text("# mine\n")
    installed.run(installed.command, "autostart", "on")
    first = installed.start(installed.program / "lamplighter-tray.exe")
    wait_for(installed.is_running, "the applet", BOUND)

    installed.install(installer)
    after_update = first.wait(BOUND), installed.is_running()
    second = installed.start(installed.program / "lamplighter-tray.exe")
    wait_for(installed.is_running, "the applet", BOUND)
    installed.remove()

    assert after_update == (0, False)
    assert second.wait(BOUND) == 0
    assert not installed.command.exists()
    assert not installed.shortcut.exists()
    assert "Lamplighter" not in installed.run("reg", "query", r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run")
    assert installed.configuration.read_text() == "# mine\n"


def test_the_configuration_goes_as_well_where_that_is_asked_for(installed: Windows) -> None:
    installed.configuration.parent.mkdir(exist_ok=True)
    installed.configuration.write_text("# mine\n")

    installed.remove("/CONFIGURATION")

    assert not installed.configuration.parent.exists()
