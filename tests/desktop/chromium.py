"""Debian's Chromium with a window on the test's screen: a person's browser, and the person in front of it.

    browser = Chromium(desktop)
    desktop.start("lamplighter", env={"BROWSER": str(browser.program)})
    browser.pages                    # the addresses that it was asked to open, in order
    browser.log_in(issuer)           # on npm's oidc-provider: name and password, submit
    browser.approve(issuer)          # its consent page: Continue; returns once our own page says "Signed in"
    browser.close()                  # closes the window

The program that `BROWSER` names starts it with a debugging port; selenium attaches there with Debian's chromedriver.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.desktop.panel_session import PanelSession, wait_for

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

T = TypeVar("T")
LOGIN, PASSWORD = "ada", "correct horse"
PATIENCE = 5.0
"""Seconds after which the person clicks once more on a page that has not moved."""
FLAGS = (
    "--no-sandbox",  # nothing else works as root and in most containers
    "--test-type",  # without the bar that warns of the flag above
    "--allow-pre-commit-input",  # chromedriver's own for what it starts: a click before the first picture is not lost
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--password-store=basic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a test asks no stranger for fonts
    "--remote-debugging-port=0",
    "--window-position=170,130",
    "--window-size=680,560",
)


def not_yet_while_it_moves(condition: Callable[[], T]) -> Callable[[], T | None]:
    """The condition, None where the page was exchanged while it looked."""
    from selenium.common.exceptions import WebDriverException

    def looked() -> T | None:
        with contextlib.suppress(WebDriverException):
            return condition()
        return None

    return looked


class Chromium:
    """The person's browser in one desktop. It stays open from one sign-in to the next, as browsers do."""

    def __init__(self, desktop: PanelSession) -> None:
        self.program = desktop.home / "chromium"
        self._profile = desktop.home / "chromium-profile"
        self._pages = desktop.home / "chromium-pages"
        self._desktop = desktop
        self._driver: Chrome | None = None
        preferences = self._profile / "Default/Preferences"
        preferences.parent.mkdir(parents=True)
        preferences.write_text(
            '{"credentials_enable_service": false}', encoding="utf-8"
        )  # "Save password?" hides pages
        flags = shlex.join((*FLAGS, f"--user-data-dir={self._profile}"))
        self.program.write_text(
            f'#!/bin/sh\necho "$1" >> {self._pages}\nexec chromium {flags} "$1" >> {desktop.logs}/chromium.log 2>&1\n',
            encoding="utf-8",
        )
        self.program.chmod(0o755)

    @property
    def pages(self) -> list[str]:
        """What it was asked to open."""
        return self._pages.read_text(encoding="utf-8").splitlines() if self._pages.exists() else []

    def log_in(self, issuer: str) -> None:
        """Name and password into the page that is open; returns once the next page asks for consent."""
        driver = self.tab(issuer, "input[name=login]")
        driver.find_element("name", "login").send_keys(LOGIN)
        driver.find_element("name", "password").send_keys(PASSWORD)
        driver.find_element("css selector", "button[type=submit]").click()
        self.tab(issuer, "input[name=prompt][value=consent]")

    def asks_for_consent(self, issuer: str) -> None:
        """Returns once the consent page is open."""
        self.tab(issuer, "input[name=prompt][value=consent]")

    def approve(self, issuer: str) -> None:
        """Continue on the consent page. Returns once our own page says "Signed in"."""
        driver = self.tab(issuer, "input[name=prompt][value=consent]")
        driver.find_element("css selector", "button[type=submit]").click()
        clicked_at = time.monotonic()

        def says_so() -> bool:
            nonlocal clicked_at
            waited = time.monotonic() - clicked_at
            if waited > PATIENCE and driver.current_url.startswith(issuer):
                clicked_at = time.monotonic()  # the page is still there: a busy browser can lose a click
                for button in driver.find_elements("css selector", "button[type=submit]"):
                    button.click()
            return driver.title.startswith("Signed in")

        try:
            wait_for(not_yet_while_it_moves(says_so), "the page that says so")
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}: it shows {driver.title!r} at {driver.current_url.partition('?')[0]}")

    def minimize(self) -> None:
        """The window goes out of the way."""
        self._attached().minimize_window()

    def close(self) -> None:
        """Closes the browser, the hard way if it hangs. Nothing of it is left."""
        if self._driver:
            with contextlib.suppress(Exception):  # the answer may be lost with the browser
                self._driver.execute_cdp_cmd("Browser.close", {})
            self._driver.service.stop()
            self._driver = None
        with contextlib.suppress(pytest.fail.Exception):
            wait_for(lambda: self._process() is None, "Chromium to end", 5)
        if process := self._process():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)

    def _process(self) -> int | None:
        """Chromium's own note of the process that has the profile: a link to HOST-PID."""
        try:
            number = int(str((self._profile / "SingletonLock").readlink()).rpartition("-")[2])
        except OSError:
            return None
        return number if Path(f"/proc/{number}").exists() else None

    def tab(self, issuer: str, what: str) -> Chrome:
        """The browser, turned to the tab where the issuer's page shows `what`."""
        driver = self._attached()

        def shows() -> bool:
            for handle in driver.window_handles:
                driver.switch_to.window(handle)
                if driver.current_url.startswith(issuer) and driver.find_elements("css selector", what):
                    return True
            return False

        wait_for(not_yet_while_it_moves(shows), f"{what} on a page of {issuer}")
        return driver

    def _attached(self) -> Chrome:
        if self._driver is None:
            from selenium.webdriver import Chrome, ChromeOptions
            from selenium.webdriver.chrome.service import Service

            note = self._profile / "DevToolsActivePort"
            wait_for(lambda: note.exists() and "\n" in note.read_text(encoding="ascii"), "Chromium")
            options = ChromeOptions()
            options.debugger_address = f"127.0.0.1:{note.read_text(encoding='ascii').splitlines()[0]}"
            self._driver = Chrome(options, Service(shutil.which("chromedriver")))
        return self._driver
