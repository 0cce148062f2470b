"""`python -m tests.bench.frozen`: the frozen applet of the Debian package beside what pip installs.

Size on disk, and the time from the start to the icon in the panel. Both have the same Python, Debian's own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.__main__ import row
from tests.bench.start import registered, seconds_to_icon
from tests.desktop.panel_session import panel_session

ROOT = Path(__file__).parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"
MB = 1e6


def main() -> int:
    """Builds, measures and prints; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.frozen", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each start is measured")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        frozen, pip = unpacked_package(work), pip_installation(work)
        sizes = size(work / "unpacked"), size(work / "pip")
        starts = seconds_to_icons(rounds, frozen, pip)
    print(f"{'':40}{'frozen':>8}  {'beside':26}{'theirs':>8}{'ratio':>7}{'goal':>9}")
    kept = [
        row("installed, MB", sizes[0] / MB, most=60),
        row("", sizes[0] / MB, "pip's, without Python", sizes[1] / MB),
        row("start to icon, ms", starts[0] * 1000, "pip's", starts[1] * 1000, ratio=1.3),
    ]
    return 0 if all(kept) else 1


def unpacked_package(work: Path) -> Path:
    """The program of the Debian package, built now."""
    subprocess.run([sys.executable, ROOT / "packaging/build.py", "deb", "--into", work], check=True)
    [package] = work.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, work / "unpacked"], check=True)
    return work / "unpacked/usr/bin/lamplighter"


def pip_installation(work: Path) -> Path:
    """The program as pip installs it into an environment of Debian's Python, without pip itself."""
    subprocess.run([sys.executable, ROOT / "packaging/build.py", "wheel", "--into", work], check=True)
    [wheel] = work.glob("*.whl")
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", work / "pip"], check=True)
    pip = [work / "pip/bin/python", "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", wheel], check=True)
    subprocess.run([*pip, "uninstall", "--quiet", "--yes", "setuptools", "pip"], check=True)
    return work / "pip/bin/lamplighter"


def size(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def seconds_to_icons(rounds: int, *programs: Path) -> list[float]:
    """The medians; each in turn, so that what else the machine does is shared, after a round that warms up."""
    with panel_session("xfce4-panel") as desktop:
        desktop.env["LAMPLIGHTER_HOME"] = str(desktop.home / "lamplighter")
        times = [
            [seconds_to_icon(desktop, registered, str(program)) for program in programs] for _ in range(rounds + 1)
        ]
    return [statistics.median(column) for column in zip(*times[1:], strict=True)]


if __name__ == "__main__":
    sys.exit(main())
