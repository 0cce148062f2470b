"""The first start: nothing is configured, and a person with mouse and browser gets an account into the menu."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import Keys

from tests.desktop.panel_session import WATCHER, Notifications, Panel, PanelSession, wait_for
from tests.desktop.whole_applet import WholeApplet, whole_desktop
from tray_app.core.health import Health

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only on Linux")


def press_the_welcomes_button(applet: WholeApplet) -> None:
    applet.desk.press("add")


def click_the_lamp(applet: WholeApplet) -> None:
    applet.click_the_lamp(Health.SIGNED_OUT)


def choose_add_account(applet: WholeApplet) -> None:
    applet.open_menu(Health.SIGNED_OUT)
    applet.picture("menu-without-account")
    applet.desktop.key("Down", "Down", "Return")


def editor(desktop: PanelSession, folder: Path) -> Path:
    """The person's editor, in place of what xdg-open starts; returns where it notes the files that it opened."""
    note = folder / "opened"
    program = folder / "xdg-open"
    program.write_text(f'#!/bin/sh\necho "$1" >> {note}\n', encoding="utf-8")
    program.chmod(0o755)
    desktop.env["PATH"] = f"{folder}:{desktop.env['PATH']}"
    return note


def menu(desktop: PanelSession) -> list[str]:
    """The words of the lamp's menu, as any panel asks for them; none while there is no lamp."""
    name = ("org.freedesktop.DBus.Properties.Get", f"string:{WATCHER}", "string:RegisteredStatusNotifierItems")
    items = re.findall(r'string "(.+)"', desktop.asked(WATCHER, "/StatusNotifierWatcher", *name))
    layout = ("com.canonical.dbusmenu.GetLayout", "int32:0", "int32:-1", "array:string:label")
    words = "".join(desktop.asked(item.partition("/")[0], "/MenuBar", *layout) for item in items)
    return [word for word in re.findall(r'variant +string "(.*)"', words) if word]


@pytest.mark.parametrize(
    ("panel", "daemon", "lead_on"),
    [
        ("xfce4-panel", "xfce4-notifyd", press_the_welcomes_button),
        ("xfce4-panel", "xfce4-notifyd", choose_add_account),
        ("lxqt-panel", "dunst", click_the_lamp),
    ],
)
def test_a_grey_lamp_and_a_welcome_lead_to_an_account_in_the_menu(
    panel: Panel, daemon: Notifications, lead_on: Callable[[WholeApplet], None]
) -> None:
    with whole_desktop(panel, daemon, f"first-start-{panel}-{lead_on.__name__}") as applet:
        applet.start()
        applet.lamp(Health.SIGNED_OUT)
        applet.notified()
        applet.picture("welcome")
        assert "No account yet" in menu(applet.desktop)

        lead_on(applet)

        page = applet.browser.tab("http://127.0.0.1", "dialog[open]")
        assert len(applet.browser.pages) == 1
        applet.notified(0)
        applet.picture("page")
        page.find_element("id", "url").send_keys("http://127.0.0.1:9")
        page.find_element("id", "url-client").send_keys("tray", Keys.ENTER)
        wait_for(lambda: "work: signed out" in menu(applet.desktop), "the account in the menu")
        wait_for(lambda: page.find_elements("css selector", "article[data-name=work]"), "the account on the page")
        assert (applet.home / "config.toml").stat().st_mode & 0o777 == 0o600
        assert "Sign In to work" in menu(applet.desktop)


def test_whoever_would_rather_write_has_an_example(tmp_path: Path) -> None:
    with whole_desktop("xfce4-panel", "xfce4-notifyd", "first-start-editor") as applet:
        opened = editor(applet.desktop, tmp_path)
        configuration = applet.home / "config.toml"
        applet.start()
        applet.lamp(Health.SIGNED_OUT)
        applet.notified()
        assert not configuration.exists()

        applet.open_menu(Health.SIGNED_OUT)
        applet.desktop.key("Down", "Down", "Down", "Return")

        wait_for(opened.exists, "the editor")
        assert opened.read_text(encoding="utf-8").splitlines() == [str(configuration)]
        assert configuration.stat().st_mode & 0o777 == 0o600
        applet.notified(0)
        save_without_marks(configuration)
        wait_for(lambda: "work: signed out" in menu(applet.desktop), "the account in the menu")
        applet.open_menu(Health.SIGNED_OUT)
        applet.picture("account")


def save_without_marks(configuration: Path) -> None:
    """What the example's own first lines tell the person to do, saved as most editors do: a new file in its place."""
    explanation, table, account = configuration.read_text(encoding="utf-8").partition("# [accounts.work]")
    new = configuration.with_suffix(".new")
    new.write_text(explanation + (table + account).replace("# ", ""), encoding="utf-8")
    new.replace(configuration)
