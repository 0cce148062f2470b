"""`python3 packaging/requirements.py [--check | --upgrade]`: pins what tests and packages install, with hashes.

Resolves pyproject's dependencies and dependency groups together, with uv, for every platform and for Python 3.11 and
newer, and writes the result to packaging/requirements, a file per group. Versions that are pinned already stay where
they still fit; `--upgrade` takes the newest of all. `--check` changes nothing and needs no network: it exits with 1 and
names each file whose requirements are no longer those of pyproject.

The standard library alone; setup_machine.py installs from these files with pip's `--require-hashes`.
"""

from __future__ import annotations  # as in setup_machine.py

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "packaging/requirements"
RUN = "run"
"""The file of what Lamplighter itself needs, and of the setuptools that installs it."""
GROUPS = ("test", "lint", "package", "node", "freeze", "wine")
HEADER = "# Made by `python3 packaging/requirements.py` from pyproject.toml. Not to be edited.\n# fingerprint: {}\n"


def main() -> None:
    """Writes the files, or says which are out of date."""
    parser = argparse.ArgumentParser(
        prog="python3 packaging/requirements.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="only say which files are out of date")
    parser.add_argument("--upgrade", action="store_true", help="take the newest version of everything")
    wanted = parser.parse_args()
    if not wanted.check:
        write(upgrade=wanted.upgrade)
    elif stale := [name for name in (RUN, *GROUPS) if not is_current(name)]:
        sys.exit(out_of_date(stale))


def file(name: str) -> Path:
    """The file with the pins of a group, or of RUN."""
    return FOLDER / f"{name}.txt"


def is_current(name: str) -> bool:
    """Whether the file was made from what pyproject says now."""
    path = file(name)
    return path.exists() and f"# fingerprint: {fingerprint(name)}\n" in path.read_text(encoding="utf-8")


def out_of_date(names: list[str]) -> str:
    """The sentence that says what to do."""
    files = ", ".join(str(file(name).relative_to(ROOT)) for name in names)
    return f"Out of date with pyproject.toml: {files}. This brings them up to date: python3 packaging/requirements.py"


def fingerprint(name: str) -> str:
    """Changes when pyproject asks for something else; the order and the comments there do not matter."""
    lines = [f"python {_pyproject()['project']['requires-python']}", *sorted(asked_for(name))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def asked_for(name: str) -> list[str]:
    """The requirements that pyproject states for a group, or for RUN."""
    pyproject = _pyproject()
    if name == RUN:
        return [*runtime(), *pyproject["build-system"]["requires"]]
    lines: list[str] = pyproject["dependency-groups"][name]
    return lines


def runtime() -> list[str]:
    """What Lamplighter itself needs, as pyproject says it."""
    lines: list[str] = _pyproject()["project"]["dependencies"]
    return lines


def write(*, upgrade: bool = False) -> None:
    """Resolves everything at once, then writes each group's part of the result."""
    uv = _uv()
    FOLDER.mkdir(exist_ok=True)
    names = (RUN, *GROUPS)
    with tempfile.TemporaryDirectory() as folder:
        together, kept = Path(folder, "together.txt"), Path(folder, "kept.txt")
        pins = [_pins(file(name).read_text(encoding="utf-8")) for name in names if file(name).exists()]
        kept.write_text("" if upgrade else "\n".join(sorted({line for text in pins for line in text})))
        # What uv finds in its output file it keeps where it fits.
        together.write_text(kept.read_text())
        together.write_text(_resolved(uv, [line for name in names for line in asked_for(name)], output=together))
        for name in names:
            pinned = _resolved(uv, asked_for(name), "--constraint", str(together), "--generate-hashes")
            file(name).write_text(HEADER.format(fingerprint(name)) + pinned, encoding="utf-8", newline="\n")
            print(f"{file(name).relative_to(ROOT)}: {len(_pins(pinned))} packages", file=sys.stderr)


def _resolved(uv: str, lines: list[str], *options: str, output: Path | None = None) -> str:
    """What uv makes of the requirements; it neither names a registry nor the command."""
    argv = [uv, "pip", "compile", "-", "--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]
    argv += ["--no-emit-index-url", "--no-emit-find-links", "--quiet", *options]
    argv += ["--output-file", str(output)] if output else []
    done = subprocess.run(
        argv, input="\n".join(lines), cwd=tempfile.gettempdir(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"uv could not resolve the requirements:\n{done.stderr}")
    return output.read_text(encoding="utf-8") if output else done.stdout


def _pins(text: str) -> list[str]:
    """The lines `NAME==VERSION ; MARKER`, without hashes."""
    return [line.removesuffix(" \\") for line in text.splitlines() if re.match(r"[\w.\[\],-]+==", line)]


def _uv() -> str:
    """The path of uv: the machine's, the test environment's, or else one installed in a temporary folder."""
    programs = "Scripts" if os.name == "nt" else "bin"
    if found := shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv" / programs)):
        return found
    print("Fetching uv ...", file=sys.stderr)
    own = Path(tempfile.mkdtemp(prefix="lamplighter-uv-"))
    subprocess.run([sys.executable, "-m", "venv", str(own)], check=True)
    subprocess.run([str(own / programs / "python"), "-m", "pip", "install", "--quiet", "uv"], check=True)
    return str(own / programs / "uv")


def _pyproject() -> dict[str, Any]:
    import tomllib  # not there in the Python that is too old

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
