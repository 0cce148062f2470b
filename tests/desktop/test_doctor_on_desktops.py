"""`lamplighter doctor` on desktops with and without their parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.desktop.panel_session import Notifications, Panel, PanelSession, panel_session

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only on Linux")


def doctor(desktop: PanelSession) -> dict[str, Any]:
    """Its findings by name."""
    command = (str(Path(sys.executable).with_name("lamplighter")), "doctor", "--json")
    found = subprocess.run(command, env=desktop.env, capture_output=True, text=True, timeout=60, check=False)
    assert found.stderr == ""
    return {one["name"]: one for one in json.loads(found.stdout)["checks"]}


@pytest.mark.parametrize(
    ("panel", "daemon", "words"),
    [("xfce4-panel", "xfce4-notifyd", "Xfce Notify Daemon"), ("lxqt-panel", "dunst", "dunst")],
)
def test_a_whole_desktop_has_all_its_parts(panel: Panel, daemon: Notifications, words: str) -> None:
    with panel_session(panel, notifications=daemon, keyring=True) as desktop:
        found = doctor(desktop)

    assert {found[name]["verdict"] for name in ("tray", "notifications", "keyring", "browser")} == {"ok"}
    assert found["notifications"]["says"].startswith(words)
    assert "actions" in found["notifications"]["says"]


def test_without_a_panel_that_takes_icons_gnome_s_extension_is_named() -> None:
    with panel_session(None, keyring=True) as desktop:
        desktop.env["XDG_CURRENT_DESKTOP"] = "GNOME"
        found = doctor(desktop)

    assert found["tray"]["verdict"] == "cannot"
    assert "gnome-shell-extension-appindicator" in found["tray"]["remedy"]
    assert found["keyring"]["verdict"] == "ok"
