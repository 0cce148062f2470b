"""A Linux desktop's files for a program: its entry in the start menu and its icons, below a `share` folder."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setup_machine import ROOT

_ENTRY = ROOT / "packaging/linux/lamplighter.desktop"


def files() -> dict[str, Path]:
    """Where they come to lie below `share`, and what they are copied from."""
    found = {"applications/lamplighter.desktop": _ENTRY}
    for path in sorted((ROOT / "assets").glob("lamplighter-*.png")):
        if (size := re.fullmatch(r"lamplighter-(\d+)", path.stem)) is not None:
            found[f"icons/hicolor/{size[1]}x{size[1]}/apps/lamplighter.png"] = path
    if (drawing := ROOT / "assets/lamplighter.svg").exists():
        found["icons/hicolor/scalable/apps/lamplighter.svg"] = drawing
    return found


def put(share: Path, command: str = "lamplighter") -> None:
    """Copies them; the entry starts `command`."""
    for name, source in files().items():
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, share / name)
    entry = share / "applications/lamplighter.desktop"
    text = entry.read_text(encoding="utf-8").replace("Exec=lamplighter", f"Exec={_quoted(command)}")
    entry.write_text(text, encoding="utf-8")


def take_away(share: Path) -> None:
    """Removes them. The folders are the desktop's."""
    for name in files():
        (share / name).unlink(missing_ok=True)


def _quoted(command: str) -> str:
    r"""One argument of an Exec key (Desktop Entry Specification): quoted where it has to be, escaped twice over."""
    if re.fullmatch(r"[\w./@+-]+", command):
        return command
    escaped = re.sub(r'(["`$\\])', r"\\\1", command).replace("%", "%%")
    return f'"{escaped}"'.replace("\\", "\\\\")
