"""packaging/install.py in a home that was empty before."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.packages import ROOT, said
from tray_app._version import __version__

INSTALL = (sys.executable, ROOT / "packaging/install.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only without an installer")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".config/lamplighter").mkdir(parents=True)
    (tmp_path / ".config/lamplighter/config.toml").write_text("# mine\n")
    return tmp_path


def files(home: Path) -> set[str]:
    found = {str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()}
    return {name for name in found if not name.startswith(".rustup/")}  # pip asks the machine's Rust for its version


def test_it_is_installed_started_at_login_updated_and_removed_without_a_trace(home: Path) -> None:
    before = files(home)
    places = {"HOME": str(home), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "XDG_RUNTIME_DIR": str(home)}
    launcher = home / ".local/bin/lamplighter"

    told = said(*INSTALL, **places)

    assert str(launcher) in told
    assert said(launcher, "--version", **places) == f"lamplighter {__version__}\n"
    entry = home / ".local/share/applications/lamplighter.desktop"
    assert f"\nExec={launcher}\n" in entry.read_text()
    said("desktop-file-validate", entry)
    assert (home / ".local/share/icons/hicolor/48x48/apps/lamplighter.png").is_file()
    said(launcher, "autostart", "on", **places)
    assert said(launcher, "autostart", "status", **places) == "on\n"

    again = said(*INSTALL, **places)

    assert "Creating" not in again, "a second run keeps what is there"

    said(*INSTALL, "--remove", **places)

    assert files(home) - before <= {"lamplighter/applet.lock"}, "the lock lies in the runtime folder, gone at logout"


def test_a_launcher_of_somebody_else_is_left_alone(home: Path) -> None:
    launcher = home / ".local/bin/lamplighter"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("#!/bin/sh\n")

    with pytest.raises(AssertionError, match="is not from here"):
        said(*INSTALL, HOME=str(home), XDG_DATA_HOME="")
    said(*INSTALL, "--remove", HOME=str(home), XDG_DATA_HOME="")

    assert launcher.read_text() == "#!/bin/sh\n"


def test_a_home_with_a_space_gets_an_entry_that_starts(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "packaging"))
    try:
        import start_menu
    finally:
        del sys.path[0]

    start_menu.put(tmp_path, "/home/an na/.local/bin/lamplighter")

    entry = tmp_path / "applications/lamplighter.desktop"
    assert '\nExec="/home/an na/.local/bin/lamplighter"\n' in entry.read_text()
    assert shutil.which("desktop-file-validate")
    said("desktop-file-validate", entry)
