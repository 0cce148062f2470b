"""Remedies for this desktop: the distribution's package, the panel's setting."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tray_app.core.message import msg

_OS_RELEASE: Final = (Path("/etc/os-release"), Path("/usr/lib/os-release"))
_INSTALL: Final = {
    "debian": "sudo apt install",
    "fedora": "sudo dnf install",
    "arch": "sudo pacman -S",
    "suse": "sudo zypper install",
    "alpine": "sudo apk add",
}
_FAMILIES: Final = {
    "ubuntu": "debian",
    "rhel": "fedora",
    "centos": "fedora",
    "opensuse": "suse",
    "sles": "suse",
    "manjaro": "arch",
}
_OTHER_NAMES: Final = {("mako", "debian"): "mako-notifier", ("firefox", "debian"): "firefox-esr"}
"""Package names that differ in a family of distributions."""
_NOTIFIERS: Final = {"XFCE": "xfce4-notifyd", "MATE": "mate-notification-daemon", "LXQT": "lxqt-notificationd"}
_WLROOTS: Final = frozenset({"SWAY", "HYPRLAND", "RIVER", "NIRI", "WAYFIRE", "LABWC"})
_GNOME_EXTENSION: Final = "https://extensions.gnome.org/extension/615/appindicator-support/"


def system_name() -> str:
    """What runs here: "Debian GNU/Linux 12 (bookworm)", "Windows 11", "macOS 15.1"."""
    if platform.system() == "Linux":
        return _os_release().get("PRETTY_NAME") or "Linux"
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"


def desktop_name() -> str:
    """The desktop by its own name, with what draws it; empty where there is none."""
    session = {"x11": "X11", "wayland": "Wayland"}.get(os.environ.get("XDG_SESSION_TYPE", ""), "")
    if not session:
        session = "Wayland" if os.environ.get("WAYLAND_DISPLAY") else "X11" if os.environ.get("DISPLAY") else ""
    names = os.environ.get("XDG_CURRENT_DESKTOP", "").replace(":", " ")
    return " on ".join(part for part in (names, session) if part)


def install(package: str) -> str:
    """The command that installs the package here; its name where the distribution is not known."""
    family = family_of(_os_release())
    name = _OTHER_NAMES.get((package, family), package)
    if package == "firefox" and _os_release().get("ID") == "ubuntu":
        name = "firefox"
    if family in _INSTALL:
        return f"{_INSTALL[family]} {name}"
    return msg("Install {name} with your system's own tools", name=name)


def keyring() -> str:
    """How to get a keyring that keeps secrets."""
    if platform.system() != "Linux":
        return msg("Look whether the system's own password manager opens")
    if "KDE" in _desktops():
        return msg('Switch KWallet on in System Settings, or set store = "memory" in the configuration')
    return msg(
        '{install}, then sign in to the desktop again; or set store = "memory" in the configuration',
        install=install("gnome-keyring"),
    )


def notifications() -> str:
    """How to get notifications here."""
    desktops = _desktops()
    if platform.system() != "Linux":
        return msg("Allow Lamplighter's notifications in the system's settings")
    if desktops & {"GNOME", "KDE", "CINNAMON"}:
        return msg("This desktop brings its own notifications: sign in to it again")
    if desktops & _WLROOTS or (os.environ.get("WAYLAND_DISPLAY") and not desktops):
        return msg("{install}, and start it", install=install("mako"))
    return install(next((package for name, package in _NOTIFIERS.items() if name in desktops), "dunst"))


def tray() -> str:
    """How to get a place for the icon in this panel."""
    desktops = _desktops()
    if "GNOME" in desktops:
        enable = "gnome-extensions enable appindicatorsupport@rgcjonas.gmail.com"
        return msg(
            "{install}, sign in to the desktop again, then: {command} (or from {url})",
            install=install("gnome-shell-extension-appindicator"),
            command=enable,
            url=_GNOME_EXTENSION,
        )
    places = {
        "KDE": msg("Right-click the panel, Add Widgets, System Tray"),
        "XFCE": msg('Right-click the panel, Panel, Add New Items, "Status Tray Plugin"'),
        "LXQT": msg('Right-click the panel, Manage Widgets, add "Status Notifier Plugin"'),
        "MATE": msg('Right-click the panel, Add to Panel, "Notification Area"'),
        "X-CINNAMON": msg('Right-click the panel, Applets, "XApp Status Applet"'),
    }
    found = next((remedy for name, remedy in places.items() if name in desktops), None)
    if found is None and (desktops & _WLROOTS or os.environ.get("WAYLAND_DISPLAY")):
        return msg('{install}, and name "tray" among its modules', install=install("waybar"))
    return found or msg("Start a panel with a tray, such as xfce4-panel: {install}", install=install("xfce4-panel"))


def clock() -> str:
    """How the clock is set right."""
    return {
        "Linux": "timedatectl set-ntp true",
        "Darwin": msg("System Settings, General, Date & Time: Set time and date automatically"),
    }.get(platform.system(), msg("Settings, Time & language, Date & time: Sync now"))


def family_of(release: Mapping[str, str]) -> str:
    """The distribution's family, by which packages are called: "debian", "fedora", ... or ""."""
    for name in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        family = _FAMILIES.get(name.partition("-")[0], name)
        if family in _INSTALL:
            return family
    return ""


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of os-release(5); other lines are skipped."""
    found = {}
    for line in text.splitlines():
        key, is_assignment, value = line.partition("=")
        if is_assignment and key.strip().isidentifier():
            try:
                found[key.strip()] = "".join(shlex.split(value))
            except ValueError:  # an open quote
                continue
    return found


def _os_release() -> dict[str, str]:
    for path in _OS_RELEASE:
        try:
            return parse_os_release(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return {}


def _desktops() -> frozenset[str]:
    return frozenset(os.environ.get("XDG_CURRENT_DESKTOP", "").upper().split(":")) - {""}
