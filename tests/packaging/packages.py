"""Builds what the tests of this folder install, once for all of them, as a person would: with packaging/build.py."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
BARE = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@cache
def built(kind: str, into: Path, umask: int = 0o022) -> list[Path]:
    """The files that `build.py KIND --into INTO` makes, in order of their names."""
    command = [sys.executable, str(ROOT / "packaging/build.py"), kind, "--into", str(into)]
    done = subprocess.run(command, env=BARE, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(into.iterdir())


def said(*command: str | Path, **variables: str) -> str:
    """What the program prints on both; it must end well, within five minutes."""
    done = subprocess.run(
        list(map(str, command)),
        env={**BARE, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
