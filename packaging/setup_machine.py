"""What the scripts beside it share: a Python environment with Lamplighter in it, and Debian's packages.

The standard library alone, on the system's bare Python. Progress goes to stderr, a line per step; what is already there
is passed over in silence.
"""

from __future__ import annotations  # an older Python should get as far as the sentence that refuses it

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pins

ROOT = Path(__file__).resolve().parents[1]
ASSUME_YES = "--yes"
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def say(words: str) -> None:
    """On stderr: stdout is the demo's and pytest's."""
    print(words, file=sys.stderr, flush=True)


def run(
    words: str, argv: list[str], remedy: str = "", cwd: Path = ROOT, variables: Mapping[str, str] | None = None
) -> None:
    """Done, with `words` and the seconds it took as its one line; or the end of what it said, the remedy, and exit."""
    began, terminal = time.monotonic(), sys.stderr.isatty()
    print(words, end="", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            argv,
            cwd=cwd,
            env={**ENVIRONMENT, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                if terminal:
                    print(f"\r{words} {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True)
        say(("\r" + words if terminal else "") + f" {time.monotonic() - began:.1f} s")
        if process.returncode:
            log.seek(0)
            tail = log.read().decode(errors="replace").splitlines()[-30:]
            sys.exit("\n".join([*tail, "", f"That failed: {' '.join(argv)}", remedy]))


def become(command: list[str], variables: dict[str, str]) -> NoReturn:
    """The program in this process's place, so that Ctrl-C and signals are its own and it can clear up behind itself."""
    if os.name != "nt":
        os.execve(command[0], command, variables)  # noqa: S606  # no shell is wanted
    with subprocess.Popen(command, env=variables) as process:  # there, exec returns to the prompt at once
        while process.poll() is None:
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
    sys.exit(process.returncode)


def environment(groups: Sequence[str] = (), own: Path | None = None) -> Path:
    """The folder of programs of an environment with this checkout of Lamplighter and the dependency groups in it.

    It is `.venv`, with an editable install. Where a folder of its `own` is named, it lies there and holds a copy of the
    sources; so it does, in the person's cache, where the checkout cannot be written to.
    """
    if sys.version_info < (3, 11):  # noqa: UP036  # an older one may well read this
        sys.exit(f"Lamplighter needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}).")
    editable = own is None and os.access(ROOT, os.W_OK)
    cached = cache() / f"venv-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    venv = own or (ROOT / ".venv" if editable else cached)
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    python = programs / ("python.exe" if os.name == "nt" else "python")
    state_file = venv / "set-up.json"
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    interpreter = [str(ROOT), *sys.version_info[:2]]  # it survives neither a move nor the system's next Python
    afresh = state.get("interpreter") != interpreter or not python.exists()
    if afresh or set(groups) - set(state["groups"]):
        agree(f"Lamplighter and {_plan(groups)} will be installed in {venv}. Go on?")
    if afresh:
        _create(venv, ["--clear"] if state else [])  # one that is not ours is built upon, not emptied
        state = {"interpreter": interpreter, "groups": []}
    wanted = {
        **state,
        "groups": sorted({*groups, *state["groups"]}),
        "fingerprint": _fingerprint(editable=editable),
    }
    if state != wanted:
        _install(python, wanted["groups"], editable=editable)
        state_file.write_text(json.dumps(wanted))
    return programs


def _plan(groups: Sequence[str]) -> str:
    """What a new environment will hold, in words."""
    if not groups:
        names = ", ".join(re.split(r"[<>=;\[ ]", line)[0] for line in pins.runtime())
        return f"the Python packages that it needs ({names}, and what these depend on)"
    files = ", ".join(str(pins.file(name).relative_to(ROOT)) for name in (pins.RUN, *groups))
    return f"the Python packages that these files list ({files})"


def _create(venv: Path, options: list[str]) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        system = Path("/usr/bin/python3").resolve() == Path(sys.executable).resolve()
        package = "python3-venv" if system else f"python3.{sys.version_info[1]}-venv"
        say(f"This Python ({sys.executable}) cannot create environments: {package}, as Debian calls it, is missing.")
        if shutil.which("apt-get") is None:
            sys.exit("Install the package that brings Python's `ensurepip`, then run the same command again.")
        install_debian_packages([package])
    run(f"Creating a Python environment in {venv} ...", [sys.executable, "-m", "venv", *options, str(venv)])


def _install(python: Path, groups: list[str], *, editable: bool) -> None:
    """Lamplighter and the groups: with groups the pinned versions by their hashes, without them pyproject's ranges."""
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    words = f"Installing Lamplighter{' and what its tests need' if groups else ''} ..."
    remedy = "Its packages come from your Python package index: is the network there? Then run the same command again."
    if groups:
        names = [pins.RUN, *groups]
        if stale := [name for name in names if not pins.is_current(name)]:
            sys.exit(pins.out_of_date(stale))
        run(words, [*pip, *hashed(*names)], remedy)
        words = "Installing this checkout ..."
        pip += ["--no-deps", "--no-build-isolation"]  # all that it needs is there, setuptools as well
    if editable:
        run(words, [*pip, "--editable", str(ROOT)], remedy)
        return
    with tempfile.TemporaryDirectory() as sources:  # building leaves traces in the sources
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, sources)
        shutil.copytree(ROOT / "tray_app", Path(sources, "tray_app"), ignore=shutil.ignore_patterns("__pycache__"))
        run(words, [*pip, sources], remedy)


def hashed(*names: str) -> list[str]:
    """Arguments of pip that install the pinned files of these names, and nothing whose hash is not in them.

    Wheels alone: what builds another package would itself be fetched without a hash.
    """
    files = [word for name in names for word in ("-r", str(pins.file(name)))]
    return ["--require-hashes", "--only-binary=:all:", *files]


def _fingerprint(*, editable: bool) -> str:
    """Changes when an installation is out of date; an editable one is only when its metadata changed."""
    files = [ROOT / "pyproject.toml", ROOT / "tray_app/_version.py", *sorted(pins.FOLDER.glob("*.txt"))]
    if not editable:
        files += sorted(path for path in ROOT.glob("tray_app/**/*") if path.is_file() and path.suffix != ".pyc")
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def cache() -> Path:
    """Where a person's programs keep what they can make again."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "lamplighter"


def missing_debian_packages(names: list[str]) -> list[str]:
    """Those of `names` that are not installed."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *names]
    known = subprocess.run(query, capture_output=True, text=True, check=False).stdout  # a code of 1: it knows not all
    return [name for name in names if f"{name} installed" not in known.splitlines()]


def _sudo_is_there() -> bool:
    """Whether sudo works; it asks for the password only where it has to."""
    if shutil.which("sudo") is None:
        return False
    if subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return True
    say("Installing takes sudo, which asks for your password.")
    return subprocess.run(["sudo", "-v"], check=False).returncode == 0


def agree(question: str) -> None:
    """Asks before something is installed, and exits unless the answer is yes.

    Nobody is asked with `--yes` on the command line, where stdin is no terminal, and where `CI` is set.
    """
    if ASSUME_YES in sys.argv[1:] or os.environ.get("CI") or not sys.stdin or not sys.stdin.isatty():
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        sys.exit("Nothing was installed.")


def install_debian_packages(names: list[str], at_rest: Sequence[str] = ()) -> None:
    """Installed with apt-get, through sudo where this is not root, once the person agreed. Exits where that cannot be.

    The services `at_rest`, which come with some of them, are neither started nor enabled where systemd runs: a test
    that starts a server of its own is no reason for one on the person's computer.
    """
    sudo = [] if os.geteuid() == 0 else ["sudo", "env", "DEBIAN_FRONTEND=noninteractive"]
    patience = "DPkg::Lock::Timeout=300"  # seconds: another apt may be at work
    install = ["apt-get", "-o", patience, "install", "--no-install-recommends", *names]
    by_hand = f"By hand, as root: apt-get update && apt-get install --no-install-recommends {' '.join(names)}"
    agree(f"Install {len(names)} Debian packages and what they depend on?")
    if sudo and not _sudo_is_there():
        sys.exit(f"sudo is not there for you. {by_hand}")
    run("Updating the list of Debian packages ...", [*sudo, "apt-get", "update"], by_hand)
    plan = subprocess.run(
        [*install, "--assume-no", "-o", "Debug::NoLocking=true"],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in plan.splitlines():
        if line.startswith(("Need to get", "After this operation")):
            say(f"  {line}")
    services = list(at_rest) if Path("/run/systemd/system").is_dir() else []
    try:
        if services:
            subprocess.run([*sudo, "systemctl", "mask", "--runtime", "--quiet", *services], check=False)
        run("Installing them ...", [*sudo, *install, "--yes"], by_hand)
    finally:
        if services:
            subprocess.run([*sudo, "systemctl", "unmask", "--runtime", "--quiet", *services], check=False)
            subprocess.run([*sudo, "systemctl", "disable", "--quiet", *services], check=False)
