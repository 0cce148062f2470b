"""A Debian with nothing in it but apt, in a folder, and programs run inside it. For root alone: it takes chroot."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

MOUNTS = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"'
OF_APT = ("var/lib/dpkg/", "var/lib/apt/", "var/cache/", "var/log/", "etc/ld.so.cache")
"""What apt itself writes down of any package that comes and goes."""


def missing_part() -> str | None:
    """What keeps an empty Debian from being made here."""
    if os.geteuid():
        return "only as root"
    return next((f"{one} is not installed" for one in ("mmdebstrap", "unshare") if shutil.which(one) is None), None)


class EmptyDebian:
    """Debian's smallest system that has apt, of the release of this machine and from its sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Half of what is unpacked, and some systems do go without it.
        without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("locale", "man", "i18n", "zoneinfo")]
        suite, sources = _sources()
        command = ["mmdebstrap", "--variant=minbase", "--mode=root", *without, suite, str(folder), *sources]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stderr
        shutil.copyfile("/etc/resolv.conf", folder / "etc/resolv.conf")
        self.run("apt-get", "update")
        self.run("useradd", "--create-home", "person")

    def run(self, *command: str, user: str = "root") -> str:
        """What the program prints on both; it must end well. It ends with its namespace, whatever it started."""
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", MOUNTS, "sh", str(self.folder)]
        home = "/root" if user == "root" else f"/home/{user}"
        environment = [
            "env",
            "-i",
            f"HOME={home}",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND=noninteractive",
        ]
        proxies = [f"{name}={value}" for name, value in os.environ.items() if name.lower().endswith("_proxy")]
        as_user = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        done = subprocess.run(
            [*inside, *as_user, *environment, *proxies, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def files(self) -> set[str]:
        """All that lies in it, but for what apt writes down."""
        found = (str(path.relative_to(self.folder)) for path in _walked(self.folder))
        return {name for name in found if not name.startswith(OF_APT)}


def _walked(folder: Path) -> Iterable[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in [*folders, *files])


def _sources() -> tuple[str, list[str]]:
    """The release's name, and a line for each of the machine's own sources of Debian."""
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    asked = ["apt-get", "indextargets", "Created-By: Packages", "Origin: Debian", "--format", form]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    entries = [line.split("|") for line in dict.fromkeys(told)]
    suite = min((release for _, release, _ in entries), key=len)  # "bookworm", not "bookworm-updates"
    return suite, [f"deb {uri} {release} {component}" for uri, release, component in entries]
