"""The structure holds: imports run downwards, and nothing else stands at the top level."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {"pyproject.toml", "tray_app", "assets", "packaging", "tests", "README.md", "LICENSE"}
BUILT = {"build", "dist", "lamplighter.egg-info", "__pycache__"}  # what building leaves behind, in .gitignore


def test_imports_run_downwards_only() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]  # in a process: it switches loggers off
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_nothing_else_stands_at_the_top_level() -> None:
    standing = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert standing - BUILT <= TOP_LEVEL
