"""The macOS application in a disk image: the frozen applet as a bundle, made on a Mac.

It is signed ad hoc, which notifications ask for (UNUserNotificationCenter); with `LAMPLIGHTER_SIGNING_IDENTITY`, by
that identity of the keychain, under the hardened runtime. Notarizing is left to the person who has the identity.
Not verified on a real machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import changelog
import frozen
import sbom
from setup_machine import ROOT, run

CHECKS = (["plutil", "-lint", "Contents/Info.plist"], ["codesign", "--verify", "--deep", "--strict", "--verbose", "."])


def build(into: Path) -> None:
    """`Lamplighter-VERSION.dmg` in the folder `into`. Exits where a check of the bundle finds an error."""
    if sys.platform != "darwin":
        sys.exit("The application for macOS is built on a Mac: PyInstaller freezes for the system that it runs on.")
    made = frozen.build()
    bundle = made.folder.with_name("Lamplighter.app")
    for check in CHECKS:
        run(f"{check[0]} ...", check, cwd=bundle)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder, "disk")
        shutil.copytree(bundle, disk / bundle.name, symlinks=True)  # a bundle without its links is no signed one
        (disk / "Applications").symlink_to("/Applications")  # to drag it onto
        (disk / "Licences.txt").write_text(_said_by(made, "licences.py"), encoding="utf-8")
        image = into / f"Lamplighter-{changelog.newest().version}.dmg"
        sbom.put(_said_by(made, "sbom.py").encode(), disk, image)  # the bundle is signed by now, and is left alone
        argv = ["hdiutil", "create", "-ov", "-volname", "Lamplighter", "-format", "UDZO"]
        run("Making the disk image ...", [*argv, "-srcfolder", str(disk), str(image)])


def _said_by(made: frozen.Frozen, script: str) -> str:
    """What a script of this folder prints about what was frozen, with the Python that it was frozen from."""
    argv = [str(made.python), str(ROOT / "packaging" / script), str(made.bundled)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
