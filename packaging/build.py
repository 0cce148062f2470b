"""`python3 packaging/build.py KIND [--into FOLDER] [--yes]`: makes a package, with all that this needs set up first.

KIND is `wheel` (sdist and wheel), `deb`, `exe` (the Windows installer) or `app` (the macOS application, on a Mac). What
is made lies in `dist` unless FOLDER is named.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import setup_machine
from setup_machine import ROOT

KINDS = ("wheel", "deb", "exe", "app")  # each a module beside this one


def main() -> None:
    """Builds what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python3 packaging/build.py", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER")
    parser.add_argument(setup_machine.ASSUME_YES, action="store_true", help="do not ask before installing")
    wanted = parser.parse_args()
    importlib.import_module(wanted.kind).build(wanted.into.absolute())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
