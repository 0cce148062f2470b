"""`python3 packaging/install.py [--yes] [--remove]`: Lamplighter for you alone, without root.

It lies in a folder of its own among your data, with the libraries that it needs; they are listed, and in a terminal you
are asked, before anything is installed. You get `lamplighter` in ~/.local/bin, and on Linux an icon and an entry in the
start menu. The same command again brings a newer version; `--remove` takes all of it away, but for your configuration,
your tokens and your log.
"""

from __future__ import annotations  # as in setup_machine.py

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import setup_machine
import start_menu
from setup_machine import say

LAUNCHER = Path.home() / ".local/bin/lamplighter"


def main() -> None:
    """Installs or removes."""
    parser = argparse.ArgumentParser(
        prog="python3 packaging/install.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--remove", action="store_true", help="take all of it away")
    parser.add_argument(setup_machine.ASSUME_YES, action="store_true", help="do not ask before installing")
    wanted = parser.parse_args()
    if os.name == "nt":
        sys.exit("On Windows the installer does this: python packaging/build.py exe")
    if wanted.remove:
        remove()
    else:
        install()


def install() -> None:
    """An environment, a launcher, and what the start menu shows."""
    if (LAUNCHER.exists() or LAUNCHER.is_symlink()) and not _is_ours(LAUNCHER):
        sys.exit(
            f"{LAUNCHER} is there already, and it is not from here. Move it away, then run the same command again."
        )
    program = setup_machine.environment(own=_folder() / "program") / "lamplighter"
    LAUNCHER.parent.mkdir(parents=True, exist_ok=True)
    LAUNCHER.unlink(missing_ok=True)
    LAUNCHER.symlink_to(program)
    if sys.platform == "linux":
        start_menu.put(_share(), str(LAUNCHER))
    found = shutil.which("lamplighter")
    command = "lamplighter" if found and _is_ours(Path(found)) else LAUNCHER
    say(f"Installed. Start it from the menu of your desktop, or with: {command}")
    if not found:
        say(f"({LAUNCHER.parent} is not in your PATH yet. Many systems add it at the next login.)")
    elif not _is_ours(Path(found)):
        say(f"(But `lamplighter` in your terminal is another one: {found})")


def remove() -> None:
    """All that `install` made, and the entry for Start at Login if it starts this installation."""
    program = _folder() / "program/bin/lamplighter"
    if program.exists():
        subprocess.run([str(program), "quit"], stderr=subprocess.DEVNULL, check=False)  # 7: it was not running
    for entry in _login_entries():
        if entry.exists() and str(_folder()) in entry.read_text(encoding="utf-8", errors="replace"):
            entry.unlink()
    if LAUNCHER.is_symlink() and _is_ours(LAUNCHER):
        LAUNCHER.unlink()
    if sys.platform == "linux":
        start_menu.take_away(_share())
    shutil.rmtree(_folder() / "program", ignore_errors=True)
    if _folder().is_dir() and not any(_folder().iterdir()):
        _folder().rmdir()
    say("Removed. Your configuration, your tokens in the keyring and your log are still there.")


def _share() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")


def _folder() -> Path:
    base = Path.home() / "Library/Application Support" if sys.platform == "darwin" else _share()
    return base / "lamplighter"


def _is_ours(launcher: Path) -> bool:
    """Whether it leads into our folder; not resolved to its end, where Python itself lies."""
    target = launcher.readlink() if launcher.is_symlink() else launcher
    return _folder() in target.parents


def _login_entries() -> list[Path]:
    """Where `lamplighter autostart on` writes; see tray_app/adapters/platform/autostart.py."""
    if sys.platform == "darwin":
        return [Path.home() / "Library/LaunchAgents/lamplighter.plist"]
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [base / "autostart/lamplighter.desktop"]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
