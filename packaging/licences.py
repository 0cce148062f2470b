"""Prints the licences of what is bundled: `python licences.py BUNDLED`, with the Python that it was bundled from.

BUNDLED is the list of files that lamplighter.spec writes. The standard library alone.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMON = Path("/usr/share/common-licenses")
END = "END OF TERMS AND CONDITIONS"
LONG = (  # title, last words, and the copy that every Debian has
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", r"choose that version for the\s+Library\.", COMMON / "LGPL-3"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2.1", END, COMMON / "LGPL-2.1"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", END, COMMON / "GPL-3"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", END, COMMON / "GPL-2"),
    (r"Apache License\s+Version 2.0", END, COMMON / "Apache-2.0"),
)
HEAD = """\
Lamplighter, version {version}

{own}
The program brings the following software by others, each under its own licence.
pystray and python-xlib are under the GNU LGPL. Their sources lie in the folder
_internal as files of their own; another version of them can take their place.

"""


def main() -> None:
    """Lamplighter's own, a table, then each text."""
    files = {Path(line).with_suffix("") for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()}
    found = [distribution for distribution in importlib.metadata.distributions() if is_bundled(distribution, files)]
    found.sort(key=lambda distribution: distribution.name.lower())
    own = next(distribution for distribution in found if distribution.name == "lamplighter")
    sys.stdout.write(HEAD.format(version=own.version, own=(ROOT / "LICENSE").read_text(encoding="utf-8")))
    others = [distribution for distribution in found if distribution is not own]
    python = f"{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"
    print(f"  {'Python':22} {python:18} PSF-2.0")
    print(
        f"  {'PyInstaller loader':22} {importlib.metadata.version('pyinstaller'):18} GPL-2.0-or-later with an exception"
    )
    for distribution in others:
        print(f"  {distribution.name:22} {distribution.version:18} {licence_of(distribution)}")
    section("Python", python_licence())
    section("PyInstaller's loader", "\n".join(texts(importlib.metadata.distribution("pyinstaller"))))
    for distribution in others:
        section(f"{distribution.name} {distribution.version}", "\n".join(texts(distribution)))


def is_bundled(distribution: importlib.metadata.Distribution, files: set[Path]) -> bool:
    """Whether a module of it is among them. They are named without suffix: what was .py may be .pyc."""
    own = [Path(file) for file in distribution.files or () if ".dist-info" not in str(file)]
    return any(file.with_suffix("") in files for file in own)


def licence_of(distribution: importlib.metadata.Distribution) -> str:
    """Its licence's name, as its metadata has it in one of three places."""
    metadata = distribution.metadata
    name = metadata.get("License-Expression") or metadata.get("License") or ""
    if not name or "\n" in name or name == "UNKNOWN":
        classifiers = [line for line in metadata.get_all("Classifier") or () if line.startswith("License ::")]
        name = ", ".join(line.rpartition(" :: ")[2] for line in classifiers)
    if not name:
        raise SystemExit(f"{distribution.name}: its metadata names no licence; look at it, and say it here")
    return name


def texts(distribution: importlib.metadata.Distribution) -> list[str]:
    """The licence files that it brings. The GNU ones are long, and every Debian has them."""
    found = []
    for file in distribution.files or ():
        if ".dist-info" in str(file.parent) and file.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS")):
            text = Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")
            found.append(shortened(text))
    return found or [f"Under {licence_of(distribution)}; by {author(distribution)}."]


def shortened(text: str) -> str:
    """Long licences of which this system keeps a copy give way to that copy's name; what stands around them stays."""
    for title, end, copy in LONG:
        if copy.exists():
            found = re.compile(rf"^[ \t]*{title}.*?{end}", re.MULTILINE | re.DOTALL)
            text = found.sub(f"See {copy.as_posix()}.", text)
    return text


def author(distribution: importlib.metadata.Distribution) -> str:
    """Who made it."""
    metadata = distribution.metadata
    return metadata.get("Author") or metadata.get("Author-email") or "its authors"


def python_licence() -> str:
    """What Python itself says, wherever this one keeps it."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    places = (Path(sysconfig.get_path("stdlib"), "LICENSE.txt"), Path(sys.base_prefix, "LICENSE.txt"))
    for place in (*places, Path(f"/usr/share/doc/{version}/copyright")):
        if place.exists():
            return place.read_text(encoding="utf-8", errors="replace")
    return "Copyright (c) 2001 Python Software Foundation; all rights reserved. PSF-2.0.\n"


def section(title: str, text: str) -> None:
    """One of them, under a line."""
    print(f"\n{'-' * 72}\n{title}\n\n{text.rstrip()}")


if __name__ == "__main__":
    main()
