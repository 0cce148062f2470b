"""The frozen applet: a folder with a program that needs no Python, made by PyInstaller from lamplighter.spec."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import changelog
import setup_machine
from setup_machine import ROOT, run

WORK = ROOT / "build/frozen"
SYSTEM_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Frozen:
    """What was made, and what it was made of."""

    folder: Path
    python: Path
    """Of the environment that the libraries were taken from."""
    bundled: Path
    """A file with the place of each bundled module and library within the folder, a line each."""


def build() -> Frozen:
    """The applet, frozen with the Python that runs this."""
    python = setup_machine.environment(["freeze"], own=WORK / "python") / (
        "python.exe" if os.name == "nt" else "python"
    )
    argv = [
        str(python),
        *("-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"),
        *("--distpath", str(WORK / "dist"), "--workpath", str(WORK / "work")),
        str(ROOT / "packaging/lamplighter.spec"),
    ]
    variables = {"PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": str(changelog.newest().epoch)}
    run(
        "Freezing the applet ...", argv, cwd=WORK, variables=variables
    )  # the installed copy, not the checkout around us
    return Frozen(WORK / "dist/lamplighter", python, WORK / "work/lamplighter/bundled.txt")


def with_system_python() -> None:
    """Starts this program anew with the Python that the system's own packages mend, if it runs with another."""
    if Path(sys.executable).resolve() != Path(SYSTEM_PYTHON).resolve():
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])  # noqa: S606  # no shell is wanted
