"""The Debian package: the frozen applet, and what a desktop and a shell want to know of it.

It is for this machine's Debian and later ones: libraries that Debian has are Debian's, as `Depends` says.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from email.utils import format_datetime
from hashlib import md5
from pathlib import Path

import changelog
import frozen
import sbom
import setup_machine
import start_menu
from setup_machine import ROOT, run, say

LINUX = ROOT / "packaging/linux"
MAINTAINER = "The Lamplighter developers <maintainers@lamplighter.example>"
_STANZAS = "Source: lamplighter\n\nPackage: lamplighter\nArchitecture: any\n"
CHECKS = (
    "desktop-file-validate {tree}/usr/share/applications/lamplighter.desktop",
    "appstreamcli validate --no-net {tree}/usr/share/metainfo/io.github.lamplighter.Lamplighter.metainfo.xml",
    "lintian --fail-on error --allow-root {deb}",
)
COMPLETIONS = {
    "bash": "bash-completion/completions/lamplighter",
    "zsh": "zsh/vendor-completions/_lamplighter",
    "fish": "fish/vendor_completions.d/lamplighter.fish",
}
CONTROL = """\
Package: lamplighter
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Recommends: default-dbus-session-bus | dbus-session-bus, gnome-keyring | kwalletmanager | keepassxc, xdg-utils
Suggests: git, xclip | wl-clipboard
Section: utils
Priority: optional
Description: lamp in the system tray that keeps you signed in
 Lamplighter refreshes OAuth 2.0 tokens before they end and hands them to other
 programs. The lamp is lit while all is well, and when only the person can help,
 one click on its notification signs in again.
 .
 Tokens lie in the desktop's keyring. This package brings its own Python.
"""


def build(into: Path) -> None:
    """`lamplighter_VERSION_ARCHITECTURE.deb` in the folder `into`, checked. Exits where a check finds an error."""
    minor = subprocess.run(
        [frozen.SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info[1])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    needs = f"python3-venv libpython3.{minor} binutils dpkg-dev lintian appstream desktop-file-utils".split()
    if missing := setup_machine.missing_debian_packages(needs):
        say(f"Building the package needs these Debian packages: {' '.join(missing)}")
        setup_machine.install_debian_packages(missing)
    frozen.with_system_python()
    os.umask(0o022)
    made, release = frozen.build(), changelog.newest()
    architecture = _said("dpkg", "--print-architecture").strip()
    into.mkdir(parents=True, exist_ok=True)
    deb = into / f"lamplighter_{release.version}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        _fill(tree, made, release)
        bom = _said(str(made.python), str(ROOT / "packaging/sbom.py"), str(made.bundled))
        sbom.put(bom.encode(), tree / "usr/share/doc/lamplighter", deb)
        _control(tree, release, architecture)
        variables = {"SOURCE_DATE_EPOCH": str(release.epoch)}
        run("Packing ...", ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(deb)], variables=variables)
        for check in CHECKS:
            run(f"{check.split()[0]} ...", check.format(tree=tree, deb=deb).split())
        size = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    say(f"{deb}: {deb.stat().st_size / 1e6:.1f} MB, installed {size / 1e6:.1f} MB")


def _fill(tree: Path, made: frozen.Frozen, release: changelog.Release) -> None:
    """All files of the package, but for its metadata."""
    home, share = tree / "usr/lib/lamplighter", tree / "usr/share"
    shutil.copytree(made.folder, home, symlinks=True)
    for library in ("pystray", "Xlib"):  # sources: another version can be put there; compiled, but looked at each time
        compiling = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "-s", str(tree)]
        _said(str(made.python), *compiling, str(home / "_internal" / library))
    for path in home.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path == home / "lamplighter" else 0o644)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/lamplighter").symlink_to("../lib/lamplighter/lamplighter")
    start_menu.put(share)
    day = release.date.date().isoformat()
    metainfo = (LINUX / "lamplighter.metainfo.xml").read_text(encoding="utf-8")
    metainfo = metainfo.replace("@VERSION@", release.version).replace("@DATE@", day)
    _write(share / "metainfo/io.github.lamplighter.Lamplighter.metainfo.xml", metainfo)
    _write(tree / "usr/lib/systemd/user/lamplighter.service", (LINUX / "lamplighter.service").read_text("utf-8"))
    for shell, name in COMPLETIONS.items():
        _write(share / name, _said(str(home / "lamplighter"), "completion", shell))
    page = _said(str(made.python), str(ROOT / "packaging/man_page.py"), day)
    _write_packed(share / "man/man1/lamplighter.1.gz", page)
    document = share / "doc/lamplighter"
    _write(document / "copyright", _said(str(made.python), str(ROOT / "packaging/licences.py"), str(made.bundled)))
    _write_packed(document / "changelog.gz", _debian_changelog(release))
    _write(share / "lintian/overrides/lamplighter", (LINUX / "lintian-overrides").read_text(encoding="utf-8"))


def _control(tree: Path, release: changelog.Release, architecture: str) -> None:
    """The package's metadata, with the sums of all files that were put in before."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    sums = "".join(
        f"{md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n" for path in files
    )
    control = CONTROL.format(
        version=release.version,
        architecture=architecture,
        maintainer=MAINTAINER,
        size=sum(-(-path.stat().st_size // 1024) for path in files),
        depends=_depends(tree),
    )
    _write(tree / "DEBIAN/control", control)
    _write(tree / "DEBIAN/md5sums", sums)


def _depends(tree: Path) -> str:
    """The packages, with versions, of the system's libraries that are linked with (dpkg-shlibdeps)."""
    libraries = sorted(path for path in tree.rglob("*.so*") if path.is_file() and not path.is_symlink())
    with tempfile.TemporaryDirectory() as folder:  # it wants the sources of a package around it
        Path(folder, "debian").mkdir()
        Path(folder, "debian/control").write_text(_STANZAS, encoding="utf-8")
        own = [f"-l{path}" for path in sorted({str(path.parent) for path in libraries})]
        program = tree / "usr/lib/lamplighter/lamplighter"
        argv = ["dpkg-shlibdeps", "-O", "--warnings=0", "--ignore-missing-info", "-xlamplighter", *own]
        said = _said(*argv, *map(str, [program, *libraries]), cwd=folder)
    return said.partition("shlibs:Depends=")[2].strip()


def _debian_changelog(release: changelog.Release) -> str:
    """The newest version in Debian's form."""
    entries = "\n".join(
        textwrap.fill(entry, 78, initial_indent="  * ", subsequent_indent="    ") for entry in release.entries
    )
    when = format_datetime(release.date)
    return f"lamplighter ({release.version}) unstable; urgency=medium\n\n{entries}\n\n -- {MAINTAINER}  {when}\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _said(*argv: str, cwd: str | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{argv[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
