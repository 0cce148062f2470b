"""A small real desktop for tests: a private X display, D-Bus session and home with a panel in it.

    with panel_session(panel="xfce4-panel", notifications="xfce4-notifyd", keyring=True) as desktop:
        desktop.start(sys.executable, "-m", "tray_app")      # a child of the session; ended with it
        at = desktop.wait_for_colour(COLOUR[Health.FRESH])   # (x, y) where that colour is on the screen
        desktop.click(*at, button=3)
        desktop.key("Down", "Return")
        desktop.screenshot(tmp_path / "menu.png")

- `panel`: "xfce4-panel", "lxqt-panel" (StatusNotifier hosts), "trayer" (XEmbed alone), or None: none yet.
- `notifications`: "xfce4-notifyd", "dunst", "mate-notification-daemon" or None.
- "waybar" and "mako" want Wayland: wayland_session.
- `keyring`: gnome-keyring with an unlocked login collection.
- `desktop.env`: the environment for programs in the session. `desktop.home`: the private HOME.
- `desktop.start(*argv, **popen)`: a program in the session; what it prints lies in `desktop.logs/N-NAME.log`.
- `desktop.start_panel(name)`, `desktop.stop_panel()`: a panel comes up (waited for) or dies.
- `desktop.pixel(x, y)`, `desktop.colours(box)`, `desktop.find_colour(rgb)`, `desktop.wait_for_colour(rgb)`,
  `desktop.wait_for_no_colour(rgb)`: what is on the screen.
- `desktop.click(x, y, button=1)`, `desktop.point(x, y)`, `desktop.key(*names)`: what a person does (xdotool).
- `desktop.owns(name)`: whether a bus name has an owner. `desktop.asked(name, path, method, ...)`: its answer.
- `wait_for(condition, what, seconds=20)`: waits until the condition gives something true and returns that.

A part that is not installed skips the test with its name (`missing_parts`); LAMPLIGHTER_TEST_STRICT=1 makes that a
failure (tests/conftest.py).
Each part is waited for by what shows that it is there, never by time. Only processes started here are ended.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from tests.keyring_session import has_unlocked

Panel = Literal["xfce4-panel", "lxqt-panel", "trayer", "waybar"]
Notifications = Literal["xfce4-notifyd", "dunst", "mate-notification-daemon", "mako"]
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
T = TypeVar("T")

DISPLAYS = range(41, 50)
KEYRING_PASSWORD = "test-password"
WATCHER = "org.kde.StatusNotifierWatcher"
PANEL_STRIP: Box = (0, 0, 1024, 40)
"""Where the panels of these sessions lie: at the top, over the whole width."""

_XFCE_PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="32"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
      <property name="hide-new-items" type="bool" value="false"/>
    </property>
  </property>
</channel>
"""
_LXQT_PANEL = """[General]
panels=panel1

[panel1]
alignment=-1
desktop=0
iconSize=22
lineCount=1
panelSize=32
plugins=statusnotifier
position=Top
width=100
width-percent=true

[statusnotifier]
type=statusnotifier
"""


def wait_for(condition: Callable[[], T], what: str, seconds: float = 20) -> T:
    """What the condition gives once that is true; fails with `what` after the bound."""
    pause = threading.Event()
    end = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds:g} s for {what}")
        pause.wait(0.03)


def program(name: str) -> str | None:
    """Where the program is; notification daemons are not on the PATH."""
    if found := shutil.which(name):
        return found
    places = (f"*/xfce4/notifyd/{name}", f"{name}/{name}")
    return next((str(path) for place in places for path in Path("/usr/lib").glob(place)), None)


def missing_parts(
    panel: Panel | None, notifications: Notifications | None = None, *, keyring: bool = False
) -> list[str]:
    """The programs that such a session needs and this machine lacks."""
    parts = ["Xvfb", "dbus-daemon", "dbus-send", "openbox", "xprop", "xdotool", panel, notifications]
    if keyring:
        parts.append("gnome-keyring-daemon")
    return [part for part in parts if part and program(part) is None]


class PanelSession:
    """One running desktop; made by `panel_session`."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.logs = folder / "logs"
        self._runtime = folder / "run"
        for one in (self.home, self.logs, self._runtime):
            one.mkdir(mode=0o700)
        config = self.home / ".config"
        self.env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(config),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_RUNTIME_DIR": str(self._runtime),
            "XDG_SESSION_TYPE": "x11",
            "GDK_BACKEND": "x11",
            "QT_QPA_PLATFORM": "xcb",
            "NO_AT_BRIDGE": "1",
        }
        xfce = config / "xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml"
        lxqt = config / "lxqt/panel.conf"
        for path, text in ((xfce, _XFCE_PANEL), (lxqt, _LXQT_PANEL)):
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
        self._children: list[subprocess.Popen[bytes]] = []
        self._panel: subprocess.Popen[bytes] | None = None

    # programs

    def start(self, *argv: str, **popen: Any) -> subprocess.Popen[bytes]:
        """The program, started in the session and ended with it."""
        log = self.logs / f"{len(self._children)}-{Path(argv[0]).name}.log"
        environment = self.env | popen.pop("env", {})
        with log.open("wb") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output} | popen
            child = subprocess.Popen(argv, env=environment, start_new_session=True, **streams)
        self._children.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """Ends the program and what it started, the hard way after 5 s."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
                break

    def run(self, *argv: str) -> str:
        """What the program printed; it must succeed."""
        return subprocess.run(argv, env=self.env, check=True, capture_output=True, text=True, timeout=30).stdout

    def asked(self, destination: str, *call: str) -> str:
        """The answer over D-Bus; an empty one where there was none yet, or an error."""
        send = ("dbus-send", "--session", "--print-reply", f"--dest={destination}", *call)
        return subprocess.run(send, env=self.env, check=False, capture_output=True, text=True, timeout=30).stdout

    def owns(self, name: str) -> bool:
        """Whether the bus name has an owner."""
        bus = ("--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner")
        return "true" in self.run("dbus-send", "--session", "--print-reply", *bus, f"string:{name}")

    # the desktop's parts

    def start_display(self) -> None:
        """An X server on the first free of `DISPLAYS`, with a window manager."""
        for number in DISPLAYS:
            self.env["DISPLAY"] = f":{number}"
            server = self.start("Xvfb", f":{number}", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset")
            wait_for(lambda child=server: child.poll() is not None or self._serves(child), "the X server")
            if server.poll() is None:
                break
        else:
            pytest.fail(f"no free X display in {DISPLAYS}")
        self.start("openbox")
        wait_for(lambda: "window id" in self._root("_NET_SUPPORTING_WM_CHECK"), "the window manager")

    def start_bus(self) -> None:
        """A D-Bus session of its own. It starts services (xfconfd) in this environment: the display comes first."""
        address = f"unix:path={self._runtime}/bus"
        self.start("dbus-daemon", "--session", "--nofork", f"--address={address}")
        self.env["DBUS_SESSION_BUS_ADDRESS"] = address
        wait_for(self._has_bus, "the session bus")

    def start_panel(self, panel: Panel) -> None:
        """The panel, once it can take icons."""
        argv = {
            "xfce4-panel": ("xfce4-panel", "--disable-wm-check"),
            "lxqt-panel": ("lxqt-panel",),
            "waybar": ("waybar",),
            "trayer": ("trayer", "--edge", "top", "--height", "32", "--SetPartialStrut", "true"),
        }[panel]
        self._panel = self.start(*argv)
        if panel == "trayer":
            wait_for(self._has_xembed_tray, "trayer")
        else:
            wait_for(lambda: self.owns(WATCHER), f"{panel}'s watcher")

    def stop_panel(self) -> None:
        """The panel dies."""
        if self._panel:
            self.end(self._panel)
            wait_for(lambda: not self.owns(WATCHER), "the watcher's end")

    def start_notifications(self, daemon: Notifications) -> None:
        """The notification daemon, once it answers. xfce4-notifyd's first start is also its set-up."""
        self.start(program(daemon) or daemon)
        wait_for(lambda: self.owns("org.freedesktop.Notifications"), daemon)

    def start_keyring(self) -> subprocess.Popen[bytes]:
        """gnome-keyring with its login collection unlocked."""
        child = self.start(
            "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets", stdin=subprocess.PIPE
        )
        assert child.stdin is not None
        child.stdin.write(KEYRING_PASSWORD.encode())
        child.stdin.close()
        wait_for(lambda: self.owns("org.freedesktop.secrets"), "gnome-keyring")
        ask = ("/org/freedesktop/secrets", "org.freedesktop.Secret.Service.ReadAlias", "string:default")
        wait_for(lambda: "/collection/" in self.asked("org.freedesktop.secrets", *ask), "the login keyring")
        return child

    def unlock_keyring(self) -> None:
        """The locked gnome-keyring that D-Bus has started is given the password, as the login does it."""

        def is_unlocked() -> bool:
            with contextlib.suppress(OSError):  # it may not listen yet
                return has_unlocked(str(self._runtime), KEYRING_PASSWORD)
            return False

        wait_for(is_unlocked, "the keyring to be unlocked")

    # what is seen

    def screenshot(self, path: Path) -> Path:
        """The whole screen as a PNG at `path`."""
        self._grab().save(path)
        return path

    def pixel(self, x: int, y: int) -> Colour:
        """The colour at a point of the screen."""
        return self._grab((x, y, x + 1, y + 1)).getpixel((0, 0))

    def colours(self, box: Box = PANEL_STRIP) -> set[Colour]:
        """Every colour in a part of the screen."""
        return set(self._pixels(box).values())

    def find_colour(self, colour: Sequence[int], box: Box = PANEL_STRIP, tolerance: int = 6) -> tuple[int, int] | None:
        """Where the colour is: the middle of all pixels near it; None where there are fewer than four."""
        near = [
            at
            for at, seen in self._pixels(box).items()
            if max(abs(a - b) for a, b in zip(seen, colour, strict=True)) <= tolerance
        ]
        if len(near) < 4:
            return None
        xs, ys = sorted(x for x, _ in near), sorted(y for _, y in near)
        return xs[len(xs) // 2], ys[len(ys) // 2]

    def wait_for_colour(
        self, colour: Sequence[int], box: Box = PANEL_STRIP, tolerance: int = 6, seconds: float = 20
    ) -> tuple[int, int]:
        """Where the colour is, once it is there."""
        found = wait_for(lambda: self.find_colour(colour, box, tolerance), f"the colour {tuple(colour)}", seconds)
        assert found is not None
        return found

    def wait_for_no_colour(self, colour: Sequence[int], box: Box = PANEL_STRIP, seconds: float = 20) -> None:
        """Returns once the colour is nowhere in the box."""
        wait_for(lambda: self.find_colour(colour, box) is None, f"the colour {tuple(colour)} to go", seconds)

    # what a person does

    def point(self, x: int, y: int) -> None:
        """Moves the pointer there."""
        self.run("xdotool", "mousemove", str(x), str(y))

    def click(self, x: int, y: int, button: int = 1) -> None:
        """A click of the mouse: 1 left, 2 middle, 3 right."""
        self.run("xdotool", "mousemove", str(x), str(y), "click", str(button))

    def key(self, *names: str) -> None:
        """Keys one after the other, by their X names."""
        self.run("xdotool", "key", "--delay", "40", *names)

    # the rest

    def close(self) -> None:
        """Ends everything that was started here, last first."""
        for child in reversed(self._children):
            self.end(child)

    def _serves(self, server: subprocess.Popen[bytes]) -> bool:
        """Whether the display is there, and is this server's: another may have had its number."""
        lock = Path(f"/tmp/.X{self.env['DISPLAY'][1:]}-lock")  # noqa: S108 - where X servers have their locks
        with contextlib.suppress(OSError):
            return lock.read_text(encoding="ascii").strip() == str(server.pid) and bool(self._root("_NET_SUPPORTED"))
        return False

    def _has_bus(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:  # a socket that is bound may not listen yet
            return client.connect_ex(str(self._runtime / "bus")) == 0

    def _root(self, name: str) -> str:
        return subprocess.run(
            ("xprop", "-root", name), env=self.env, check=False, capture_output=True, text=True
        ).stdout

    def _has_xembed_tray(self) -> bool:
        from Xlib.display import Display

        with contextlib.closing(Display(self.env["DISPLAY"])) as display:
            return bool(display.get_selection_owner(display.intern_atom("_NET_SYSTEM_TRAY_S0")))

    def _grab(self, box: Box | None = None) -> Any:
        from PIL import ImageGrab

        return ImageGrab.grab(box, xdisplay=self.env["DISPLAY"]).convert("RGB")

    def _pixels(self, box: Box) -> dict[tuple[int, int], Colour]:
        image = self._grab(box)
        pixels = image.load()
        return {(x + box[0], y + box[1]): pixels[x, y] for x in range(image.width) for y in range(image.height)}


@contextlib.contextmanager
def panel_session(
    panel: Panel | None, *, notifications: Notifications | None = None, keyring: bool = False
) -> Iterator[PanelSession]:
    """A desktop with these parts, each ready. Skips where one is not installed."""
    if missing := missing_parts(panel, notifications, keyring=keyring):
        pytest.skip(f"not installed: {', '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="panel-"))  # short: a socket's path has at most 107 characters
    session = PanelSession(folder)
    try:
        session.start_display()
        session.start_bus()
        if notifications:
            session.start_notifications(notifications)
        if keyring:
            session.start_keyring()
        if panel:
            session.start_panel(panel)
        yield session
    finally:
        session.close()
        shutil.rmtree(folder, ignore_errors=True)
