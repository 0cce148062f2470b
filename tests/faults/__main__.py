"""`python -m tests.faults [WORDS]`: whether the unit and contract tests find each deliberate fault, and how fast.

Each fault is put by itself into a copy of the tree, and the tests run there until the first fails; one per core at a
time. The same tests run once without a fault: what fails then proves nothing. WORDS select faults by their names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.faults import FAULTS, Fault

ROOT = Path(__file__).parents[2]
PARTS = ("tray_app", "tests", "packaging", "assets", ".github", "pyproject.toml", "README.md", "LICENSE")
LEFT_OUT = ("unit/test_architecture.py", "contract/test_notifier.py", "contract/test_tray.py")
"""What holds the imports, and what needs a desktop: none of it is about these faults."""
ALL = ("tests/unit", "tests/contract")
LIMIT = 60.0
"""Seconds in which a fault is to be found."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def broken(text: str, fault: Fault) -> str:
    """The module's text with the fault. Exits where the fault fits in no place, or in more than one."""
    if text.count(fault.old) != 1:
        sys.exit(f"{fault.file} has {text.count(fault.old)} times, and not once: {fault.old!r} ({fault.name})")
    return text.replace(fault.old, fault.new)


def copy_to(folder: Path) -> None:
    """The tree without what is installed in it."""
    ignore = shutil.ignore_patterns("node_modules", "build", "dist")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        elif source.exists():
            shutil.copy2(source, folder / part)


def run_tests(folder: Path, limit: float, *tests: str) -> tuple[str | None, float]:
    """The first test that failed in this tree, or None, and after how many seconds."""
    options = ["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    left_out = [f"--ignore=tests/{name}" for name in LEFT_OUT]
    began = time.monotonic()
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *left_out, *tests],
            cwd=folder,
            env={**os.environ, "LAMPLIGHTER_TEST_STRICT": "0"},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, time.monotonic() - began
    found = _FAILED.search(ran.stdout)
    if ran.returncode and not found:
        sys.exit(f"pytest itself failed:\n{ran.stdout}\n{ran.stderr}")
    return found and found[1], time.monotonic() - began


def try_out(fault: Fault | None) -> bool:
    """Whether the tests did as they should: find the fault in time, or nothing where there is none. Prints it."""
    with tempfile.TemporaryDirectory(prefix="lamplighter-fault-") as name:
        folder = Path(name)
        copy_to(folder)
        if fault is None:
            caught, seconds = run_tests(folder, 5 * LIMIT, *ALL)
            say("FAILS" if caught else "ok", seconds, f"without a fault: {caught or 'all pass'}")
            return caught is None
        module = folder / "tray_app" / fault.file
        module.write_text(broken(module.read_text(), fault))
        caught, seconds = run_tests(folder, LIMIT, f"tests/{fault.tests}")
        if caught is None:  # pytest puts overlapping arguments into its own order: so this is a run of its own
            caught, more = run_tests(folder, LIMIT - seconds, *ALL)
            seconds += more
        say("caught" if caught else "MISSED", seconds, f"{fault.name}: {caught or 'by nothing'}")
        return caught is not None


def say(word: str, seconds: float, what: str) -> None:
    """One line of the report, at once."""
    sys.stdout.write(f"{word:8} {seconds:5.1f} s  {what}\n")
    sys.stdout.flush()


def main() -> None:
    """Tries all of them, and exits with 1 where one was missed."""
    chosen = [fault for fault in FAULTS if all(word in fault.name for word in sys.argv[1:])]
    for fault in chosen:
        broken((ROOT / "tray_app" / fault.file).read_text(), fault)
    jobs: list[Fault | None] = [*chosen] if sys.argv[1:] else [None, *chosen]
    began = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(try_out, jobs))
    say("FAILED" if results.count(False) else "ok", time.monotonic() - began, f"{len(chosen)} faults in all")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
