"""`python3 packaging/release.py [--look | --sums FOLDER]`: whether this commit can be released, and what is left to do.

It looks at tree, version, changelog and tag; runs what CI runs; builds wheel, sdist and Debian package twice, compares
the bytes, and leaves them in `dist` with their SBOMs and SHA256SUMS. With LAMPLIGHTER_SIGNING_KEY, the id of a key that
gpg has, SHA256SUMS.asc is its signature. It publishes nothing and changes nothing else. `--look` is the first part
alone: seconds instead of an hour. `--sums FOLDER` writes SHA256SUMS for the files of a folder, and does nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import changelog
from setup_machine import ROOT, say

SUMS = "SHA256SUMS"
REPRODUCIBLE = ("wheel", "deb")
BY_HAND = """\
By hand, in this order:
  1. See hosted CI green on this commit, on all three platforms.
  2. On a real Windows, macOS, KDE and GNOME, each that you can get at: install, sign in, let it sleep and wake, remove.
     What was seen goes into the README's table; what was not stays "not verified on a real machine".
  3. On Windows: python packaging/build.py exe. Sign the installer with your certificate: SmartScreen warns of others.
  4. On a Mac: python3 packaging/build.py app. Sign and notarize with your Apple identity: it is signed ad hoc only.
  5. git tag --sign {tag} --message "Lamplighter {version}" && git push origin {tag}
  6. Publish what lies in dist with SHA256SUMS, the changelog's words as the release notes. The pushed tag makes the
     hosted release job build them again, attest them and keep them as artifacts: compare its sums with these.
  7. Upload wheel and sdist to the Python package index, and install them from there once.
  8. Afterwards: the next number in tray_app/_version.py and on top of packaging/CHANGELOG.md,
     then .venv/bin/python -m tests.kept."""


def main() -> None:
    """The list, from top to bottom; exits at the first part where something is wrong."""
    parser = argparse.ArgumentParser(
        prog="python3 packaging/release.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--look", action="store_true", help="no tests and no builds")
    parser.add_argument("--sums", type=Path, metavar="FOLDER", help="only write SHA256SUMS for the files of FOLDER")
    wanted = parser.parse_args()
    if wanted.sums:
        print(write_sums([path for path in sorted(wanted.sums.iterdir()) if not path.name.startswith(SUMS)]), end="")
        return
    if found := list(problems()):
        sys.exit("Not to be released:\n" + "\n".join(f"  - {problem}" for problem in found))
    say("Tree, version, changelog, tag and kept state: as they should be.")
    if not wanted.look:
        if subprocess.run([".ci/run"], cwd=ROOT, check=False).returncode:
            sys.exit("Not to be released: .ci/run failed.")
        print(write_sums([path for kind in REPRODUCIBLE for path in build_twice(kind)]), end="")
    version = changelog.newest().version
    print(BY_HAND.format(version=version, tag=f"v{version}"))


def problems() -> Iterator[str]:
    """What of this checkout is not as a release needs it, in words."""
    release, version = changelog.newest(), _version()
    if changed := _git("status", "--porcelain"):
        yield f"the tree is not clean: {', '.join(line[3:] for line in changed.splitlines())}"
    if release.version != version:
        yield f"tray_app/_version.py says {version}, the top of packaging/CHANGELOG.md {release.version}"
    day, today = release.date.date().isoformat(), time.strftime("%Y-%m-%d", time.gmtime())
    if day != today:
        yield f"packaging/CHANGELOG.md dates it {day}; today is {today} (UTC)"
    if _git("tag", "--list", f"v{version}"):
        yield f"there is a tag v{version} already"
    if not (ROOT / "tests/kept" / version / "told.json").exists():
        yield f"tests/kept has nothing of {version}: .venv/bin/python -m tests.kept"


def build_twice(kind: str) -> list[Path]:
    """The files in `dist`, once they were made a second time elsewhere. Exits where the two differ."""
    built = []
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        for into in (first, second):
            command = [sys.executable, "packaging/build.py", kind, "--into", str(into)]
            if subprocess.run(command, cwd=ROOT, check=False).returncode:
                sys.exit(f"Not to be released: {kind} cannot be built.")
        (ROOT / "dist").mkdir(exist_ok=True)
        for path in sorted(first.iterdir()):
            if path.read_bytes() != (second / path.name).read_bytes():
                sys.exit(f"Not to be released: two builds of {path.name} differ.")
            (ROOT / "dist" / path.name).write_bytes(path.read_bytes())
            say(f"{path.name}: the same bytes twice")
            built.append(ROOT / "dist" / path.name)
    return built


def write_sums(files: list[Path]) -> str:
    """The lines of SHA256SUMS, which is written beside the files, with its signature where a key is named."""
    text = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    sums = files[0].with_name(SUMS)
    sums.write_text(text, encoding="utf-8", newline="\n")
    signature = files[0].with_name(f"{SUMS}.asc")
    signature.unlink(missing_ok=True)  # that of other sums
    if key := os.environ.get("LAMPLIGHTER_SIGNING_KEY"):
        argv = ["gpg", "--batch", "--yes", "--armor", "--local-user", key, "--output", str(signature)]
        try:
            failed = subprocess.run([*argv, "--detach-sign", str(sums)], check=False).returncode
        except FileNotFoundError:
            sys.exit(f"{SUMS} is not signed: gpg is not installed.")
        if failed:
            sys.exit(f"{SUMS} is not signed: gpg could not sign with the key {key}.")
    return text


def _version() -> str:
    """Read, not imported: on a bare machine the package's libraries are missing."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "tray_app/_version.py").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else "nothing"


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip("\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
