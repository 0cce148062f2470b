"""The Debian package: on an empty system, and on a desktop with a real panel, keyring and notification daemon."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.applet import running_applet
from tests.desktop.panel_session import panel_session, wait_for
from tests.integration.lamplighter_process import Lamplighter, Provider
from tests.keyring_session import KeyringSession
from tests.packaging.empty_debian import EmptyDebian, missing_part
from tests.packaging.packages import ROOT, bill, built, pinned, said
from tray_app._version import __version__
from tray_app.core.health import Health
from tray_app.interfaces.tray.icon_set import COLOUR

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
INSTALLED_AT_MOST = 60e6  # bytes


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built, which includes desktop-file-validate, appstreamcli and lintian without errors."""
    package, _ = built("deb", tmp_path_factory.mktemp("dist"))
    return package


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    said("dpkg-deb", "--extract", package, folder)
    return folder


def test_on_an_empty_debian_it_is_installed_plays_its_story_and_is_removed_without_a_trace(
    package: Path, tmp_path: Path
) -> None:
    if missing := missing_part():
        pytest.skip(missing)
    debian = EmptyDebian(tmp_path / "debian")
    (tmp_path / "debian" / package.name).write_bytes(package.read_bytes())
    before = debian.files()

    debian.run("apt-get", "install", "--yes", "--no-install-recommends", f"/{package.name}")

    assert debian.run("lamplighter", "--version", user="person") == f"lamplighter {__version__}\n"
    assert "All went as told." in debian.run("lamplighter", "demo", "--story", user="person")
    debian.run("lamplighter", "autostart", "on", user="person")
    own = "home/person/.config/autostart/lamplighter.desktop"
    assert "/usr/lib/lamplighter/lamplighter" in (tmp_path / "debian" / own).read_text()

    debian.run("apt-get", "purge", "--yes", "--autoremove", "lamplighter")

    left = {name for name in debian.files() - before if not name.startswith("home/person/")}
    assert left == set()


def test_it_is_small_and_says_under_which_licences_it_is(unpacked: Path) -> None:
    files = [path for path in unpacked.rglob("*") if path.is_file() and not path.is_symlink()]
    copyright_file = (unpacked / "usr/share/doc/lamplighter/copyright").read_text()

    assert sum(path.stat().st_size for path in files) < INSTALLED_AT_MOST
    for name in ("Python", "PyInstaller", "pystray", "python-xlib", "keyring", "httpx", "pillow", "desktop-notifier"):
        assert f"\n{name}" in copyright_file or f"  {name} " in copyright_file, name
    assert "another version of them can take their place" in copyright_file


def test_its_sbom_names_what_it_carries_in_the_versions_that_are_pinned(package: Path, unpacked: Path) -> None:
    inside = (unpacked / "usr/share/doc/lamplighter/lamplighter.cdx.json").read_bytes()
    assert package.with_name(f"{package.name}.cdx.json").read_bytes() == inside

    named, versions = bill(inside), pinned()

    python = named.pop("python")
    assert python
    assert (unpacked / f"usr/lib/lamplighter/_internal/libpython{python.rpartition('.')[0]}.so.1.0").exists()
    assert {"httpx", "pystray", "dbus-fast", "certifi", "pyinstaller"} <= set(named)
    assert {name: versions.get(name.replace("_", "-").replace(".", "-")) for name in named} == named
    frozen = {path.name for path in (unpacked / "usr/lib/lamplighter/_internal").iterdir()}
    assert {"httpx", "pystray", "dbus_fast"} <= frozen
    assert "cryptography" not in frozen | set(named)  # installed beside them, and not bundled


def test_it_carries_every_module_and_every_file_that_modules_open(unpacked: Path) -> None:
    sources, own = ROOT / "tray_app", unpacked / "usr/lib/lamplighter/_internal/tray_app"
    modules = {path.relative_to(sources).with_suffix(".pyc") for path in sources.rglob("*.py")}
    opened = {
        path.relative_to(sources)
        for path in sources.rglob("*.*")
        if path.suffix not in {".py", ".pyc", ".po"}  # catalogs are read as .mo
    }

    carried = {path.relative_to(own) for path in own.rglob("*") if path.is_file()}
    assert {
        Path("adapters/config/presets.toml"),
        Path("interfaces/page/page.js"),
        Path("base/locale/de/LC_MESSAGES/lamplighter.mo"),
    } <= opened
    assert (modules | opened) - carried == set()


@pytest.mark.parametrize(
    "file",
    [
        "bash-completion/completions/lamplighter",
        "zsh/vendor-completions/_lamplighter",
        "fish/vendor_completions.d/lamplighter.fish",
        "icons/hicolor/48x48/apps/lamplighter.png",
        "man/man1/lamplighter.1.gz",
    ],
)
def test_shell_and_desktop_find_what_they_look_for(unpacked: Path, file: str) -> None:
    assert (unpacked / "usr/share" / file).stat().st_size > 200


def test_the_manual_page_tells_of_every_command(unpacked: Path) -> None:
    page = gzip.decompress((unpacked / "usr/share/man/man1/lamplighter.1.gz").read_bytes()).decode()
    told = said(unpacked / "usr/bin/lamplighter", "--help")

    commands = [line.split()[0] for line in told.partition("Commands:")[2].splitlines() if line.strip()]
    assert len(commands) > 8
    for command in commands:
        assert f"\n.B {command}" in page or f'\n.BI "{command} ' in page, command


def test_the_system_mends_its_own_libraries(unpacked: Path) -> None:
    bundled = {path.name.partition(".so")[0] for path in (unpacked / "usr/lib/lamplighter").rglob("*.so*")}

    assert bundled.isdisjoint({"libssl", "libcrypto", "libffi", "libz", "libexpat", "libc", "libsqlite3"})


def test_the_keyring_serves_it_and_its_libraries_are_not_forced_upon_programs_that_it_starts(
    unpacked: Path, tmp_path: Path
) -> None:
    keyring = KeyringSession(tmp_path / "keyring")
    lamplighter = Lamplighter(tmp_path / "home", {**keyring.environment, "HOME": str(tmp_path)})
    try:
        keyring.start()
        with Provider() as provider:
            lamplighter.given(provider)
            told = tmp_path / "environment"
            lamplighter.configure(
                provider.account() + f'on_refresh = ["sh", "-c", "env >{told}.new; mv {told}.new {told}"]'
            )

            refreshed = lamplighter.run("refresh", "work", program=[str(unpacked / "usr/bin/lamplighter")])

            assert (refreshed.code, provider.refreshes) == (0, 1), refreshed
            assert provider.refresh_token in keyring.stored()
            wait_for(told.exists, "the command after the refresh")
            assert "LD_LIBRARY_PATH" not in told.read_text()
    finally:
        lamplighter.close()
        keyring.close()


def test_on_a_desktop_lamp_notification_and_keyring_sign_in(unpacked: Path) -> None:
    with (
        panel_session("xfce4-panel", notifications="xfce4-notifyd", keyring=True) as desktop,
        running_applet(desktop, str(unpacked / "usr/bin/lamplighter")) as applet,
    ):
        applet.sign_in_by_lamp()
        applet.refresh()
        applet.sign_in_by_notification()

        assert applet.refreshes == 1
        assert desktop.find_colour(COLOUR[Health.FRESH])


def test_another_pystray_can_take_the_place_of_the_one_that_it_brings(unpacked: Path) -> None:
    library = unpacked / "usr/lib/lamplighter/_internal/pystray/__init__.py"
    original = library.read_bytes()
    library.write_bytes(original + b"\nraise SystemExit('another pystray')\n")
    try:
        with panel_session("xfce4-panel") as desktop:
            started = desktop.start(str(unpacked / "usr/bin/lamplighter"), stderr=subprocess.PIPE)
            _, said_last = started.communicate(timeout=30)
    finally:
        library.write_bytes(original)

    assert said_last.decode().endswith("another pystray\n")
