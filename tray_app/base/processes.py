"""Finds a person's own programs. A process started from the desktop does not have their shell's PATH."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tray_app.base.paths import person_s_umask

_TERMINALS = (
    ("xdg-terminal-exec",),
    ("x-terminal-emulator", "-e"),
    ("gnome-terminal", "--"),
    ("ptyxis", "--"),
    ("kgx", "-e"),
    ("konsole", "-e"),
    ("xfce4-terminal", "-x"),
    ("mate-terminal", "-x"),
    ("qterminal", "-e"),
    ("lxterminal", "-e"),
    ("kitty",),
    ("foot",),
    ("alacritty", "-e"),
    ("wezterm", "start", "--"),
    ("xterm", "-e"),
)
"""Terminals of Linux desktops, each with the option after which it takes a program and its arguments unquoted."""


def find_program(name: str) -> str | None:
    """The program's absolute path: as named, on the PATH, or where installers put it; None if not found."""
    if os.sep in name or name.startswith("~"):
        return shutil.which(str(Path(name).expanduser()))
    on_path = (Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep))
    return next((found for folder in (*on_path, *_usual_places()) if (found := _in(folder, name))), None)


def _in(folder: Path, name: str) -> str | None:
    """The program in this folder. On Windows `shutil.which` looks in the current folder first, where anybody may have
    put a program of the same name; a relative folder on the PATH is the current one in disguise.
    """
    if not folder.is_absolute():
        return None
    if sys.platform == "win32":
        endings = [""] if Path(name).suffix else os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(os.pathsep)
        found = (folder / (name + ending) for ending in endings)
        return next((str(one) for one in found if one.is_file()), None)
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        return shutil.which(name, path=str(folder))


def _usual_places() -> Iterator[Path]:
    home = Path.home()
    yield home / ".local/bin"
    yield home / ".claude/local"
    yield home / "bin"
    yield from (Path("/usr/local/bin"), Path("/opt/homebrew/bin"), Path("/home/linuxbrew/.linuxbrew/bin"))
    yield from (home / ".npm-global/bin", home / ".npm/bin", home / "node_modules/.bin", home / ".bun/bin")
    yield from (home / ".volta/bin", home / ".asdf/shims", home / ".local/share/mise/shims", home / ".local/share/pnpm")
    yield from (home / "Library/pnpm", home / "AppData/Roaming/npm", home / "AppData/Local/pnpm", Path("/snap/bin"))
    for pattern in (".nvm/versions/node/*/bin", ".local/share/fnm/node-versions/*/installation/bin", ".nodenv/shims"):
        yield from sorted(home.glob(pattern), reverse=True)  # the newest first, as far as names tell


def start_detached(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts the program without a shell and without our terminal; it outlives us. Raises OSError."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **environment},
        umask=person_s_umask(),
    )


def start_and_forget(argv: Sequence[str], environment: Mapping[str, str] = MappingProxyType({})) -> None:
    """The same, and reaps the program when it ends: a thread blocks in waitpid. Raises OSError."""
    program = start_detached(argv, environment)
    threading.Thread(target=program.wait, name="program", daemon=True).start()


def terminal_for(argv: Sequence[str]) -> list[str] | None:
    """The argument list that runs the program in a window of its own; None where no terminal was found."""
    system = platform.system()  # with sys.platform, mypy would see dead code here
    if system == "Windows":
        return [os.environ.get("COMSPEC", "cmd.exe"), "/c", "start", "", *argv]
    if system == "Darwin":
        # Terminal takes a script, not arguments; `quoted form` is AppleScript's own quoting for the shell there.
        words = " & space & ".join(f"quoted form of item {place + 1} of argv" for place in range(len(argv)))
        script = f'on run argv\ntell application "Terminal"\nactivate\ndo script {words}\nend tell\nend run'
        return ["osascript", "-e", script, *argv]
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    named = os.environ.get("TERMINAL", "")
    for first, *rest in ((named, "-e"), *_TERMINALS) if named else _TERMINALS:
        if (program := shutil.which(first)) is not None:
            return [program, *rest, *argv]
    return None
