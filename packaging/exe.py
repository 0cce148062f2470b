"""The Windows installer: the frozen applet, packed by NSIS. Where no Windows is, it is built under Wine, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import changelog
import frozen
import sbom
import wine
from setup_machine import ROOT, run, say

SCRIPT = ROOT / "packaging/windows/lamplighter.nsi"


def build(into: Path) -> None:
    """`lamplighter-VERSION-setup.exe` in the folder `into`."""
    release = changelog.newest()
    made = frozen.build() if os.name == "nt" else _under_wine()
    shutil.copy(ROOT / "assets/lamplighter.ico", made.folder)
    licences = _said_by(made.python, ROOT / "packaging/licences.py", made.bundled)
    (made.folder / "LICENCES.txt").write_text(licences, encoding="utf-8")
    setup = into / f"lamplighter-{release.version}-setup.exe"
    bom = _said_by(made.python, ROOT / "packaging/sbom.py", made.bundled)
    sbom.put(bom.replace("\r\n", "\n").encode(), made.folder, setup)
    makensis = shutil.which("makensis") or r"C:\Program Files (x86)\NSIS\makensis.exe"
    defined = {"VERSION": release.version, "PROGRAM": str(made.folder), "OUT": str(setup)}
    argv = [makensis, "-V2", *(f"-D{name}={value}" for name, value in defined.items()), str(SCRIPT)]
    run("Packing the installer ...", argv, "NSIS makes the installer; it is to be had from its makers.")
    size = sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file())
    say(f"{setup}: {setup.stat().st_size / 1e6:.1f} MB, installed {size / 1e6:.1f} MB")


def _under_wine() -> frozen.Frozen:
    wine.prepare()
    folder = wine.FOLDER / "frozen"
    paths = ["--distpath", wine.windows(folder / "dist"), "--workpath", wine.windows(folder / "work")]
    spec = wine.windows(ROOT / "packaging/lamplighter.spec")
    argv = ["-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", *paths, spec]
    if wine.python(*argv, cwd=wine.FOLDER):  # the installed copy, not the checkout around us
        sys.exit("PyInstaller failed under Wine.")
    return frozen.Frozen(
        folder / "dist/lamplighter", wine.PYTHON / "python.exe", folder / "work/lamplighter/bundled.txt"
    )


def _said_by(python: Path, script: Path, argument: Path) -> str:
    if os.name == "nt":
        argv, variables = [str(python), str(script), str(argument)], {}
    else:
        argv, variables = ["wine", str(python), wine.windows(script), wine.windows(argument)], wine.VARIABLES
    done = subprocess.run(
        argv, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr.decode(errors="replace"))
    return done.stdout.decode()
