"""The house keeps its plan: imports run downwards, rooms stay small, nothing stands outside."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {"pyproject.toml", "tray_app", "assets", "packaging", "tests", "README.md", "LICENSE"}
BUILT = {"build", "dist", "lamplighter.egg-info", "__pycache__"}  # what building leaves behind, in .gitignore
CEILING = 300  # lines


def test_imports_run_downwards_only() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]  # in a process: it switches loggers off
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_a_module_is_one_room() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in ROOT.glob("tray_app/**/*.py")}

    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > CEILING} == {}


def test_nothing_else_stands_at_the_top_level() -> None:
    standing = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert standing - BUILT <= TOP_LEVEL
