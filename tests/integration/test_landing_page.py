"""The page at the end of a sign-in in a real browser: what it says, and that everybody can read it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.integration.hostile_server import BOUND
from tests.servers.oidc_provider import HERE
from tray_app.adapters.oauth import pages

AXE = HERE / "node_modules/axe-core/axe.min.js"
PAGES = {
    "signed in": pages.signed_in("work"),
    "declined": pages.declined("work", "work: the sign-in was declined (access_denied: <script>alert(1)</script>)"),
    "failed": pages.failed(
        "work",
        'work: login.example.com refuses the configuration (invalid_client: <img src=x onerror="document.title=1">'
        + "A" * 120
        + ")",
        "See the configuration: lamplighter config check",
    ),
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (python3 packaging/test.py installs it)")
    if not AXE.exists():
        pytest.skip("npm's axe-core is not installed (python3 packaging/test.py installs it)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    profile = tmp_path_factory.mktemp("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=820,640"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    driver.set_script_timeout(BOUND)
    yield driver
    driver.quit()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, browser: Any) -> str:
    features = [{"name": "prefers-color-scheme", "value": request.param}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return str(request.param)


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_the_page(browser: Any, tmp_path: Path, scheme: str, name: str) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(PAGES[name])
    browser.get(file.as_uri())
    keep_picture(browser, f"landing-{name.replace(' ', '-')}-{scheme}.png")
    browser.execute_script(AXE.read_text("utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")

    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 10
    assert browser.execute_script("return document.title").endswith(" - Lamplighter")
    width, view = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= view


@pytest.mark.parametrize("name", ["declined", "failed"])
def test_only_success_says_so(name: str) -> None:
    assert b"signed in" not in PAGES[name].lower()
    assert b"<script" not in PAGES[name]
    assert b"<img" not in PAGES[name]


def keep_picture(browser: Any, name: str) -> None:
    """For people to look at, where `LAMPLIGHTER_PICTURES` names a folder."""
    if folder := os.environ.get("LAMPLIGHTER_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(folder, name)))


def test_the_axe_that_is_used_is_the_one_of_the_lock_file() -> None:
    if not AXE.exists():
        pytest.skip("npm's axe-core is not installed (python3 packaging/test.py installs it)")
    lock = json.loads((HERE / "package-lock.json").read_text())

    assert lock["packages"]["node_modules/axe-core"]["version"] in AXE.read_text("utf-8")[:400]
