"""The release check-list, in a checkout of its own: it lets pass what can be released, and names all that cannot."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tray_app._version import __version__

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(checkout: Path, *words: str) -> None:
    own = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *own, *words], cwd=checkout, check=True, capture_output=True)


def release(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "packaging/release.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout.parent)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a release looks at, committed, and dated today."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copytree(ROOT / "packaging", checkout / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tray_app/_version.py", f"tests/kept/{__version__}/told.json", ".gitignore"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, checkout / name)
    log = checkout / "packaging/CHANGELOG.md"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    log.write_text(re.sub(r"\(\d{4}-\d\d-\d\d\)", f"({today})", log.read_text("utf-8"), count=1), "utf-8")
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "all of it")
    return checkout


def test_what_can_be_released_is_let_pass_with_what_is_left_to_do_by_hand(checkout: Path) -> None:
    done = release(checkout, "--look")

    assert done.returncode == 0, done.stderr
    assert f"git tag --sign v{__version__}" in done.stdout
    assert "notarize" in done.stdout


def test_everything_that_is_wrong_is_named_at_once(checkout: Path) -> None:
    git(checkout, "tag", "v9.9.9")
    (checkout / "tray_app/_version.py").write_text('__version__ = "9.9.9"\n')
    log = checkout / "packaging/CHANGELOG.md"
    log.write_text(re.sub(r"\(\d{4}-", "(2001-", log.read_text("utf-8"), count=1), "utf-8")

    done = release(checkout, "--look")

    assert done.returncode == 1
    assert done.stdout == ""
    for problem in (
        "the tree is not clean: packaging/CHANGELOG.md, tray_app/_version.py",
        f"tray_app/_version.py says 9.9.9, the top of packaging/CHANGELOG.md {__version__}",
        "dates it 2001-",
        "there is a tag v9.9.9 already",
        "tests/kept has nothing of 9.9.9",
    ):
        assert problem in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="only where .ci/run is run")
@pytest.mark.parametrize("content", ["'same'", "str(into)"], ids=["the same twice", "another each time"])
def test_only_packages_that_are_the_same_bytes_twice_are_left_to_be_published(checkout: Path, content: str) -> None:
    (checkout / ".ci").mkdir()
    (checkout / ".ci/run").write_text("#!/bin/sh\n")
    (checkout / ".ci/run").chmod(0o755)
    (checkout / "packaging/test.py").write_text("")
    (checkout / "packaging/build.py").write_text(
        "import pathlib, sys\n"
        "into = pathlib.Path(sys.argv[3])\n"
        "into.mkdir()\n"
        f"(into / sys.argv[1]).write_text({content})\n"
    )
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "tests and builds of a moment")

    done = release(checkout)

    if content == "'same'":
        digest = hashlib.sha256(b"same").hexdigest()
        assert done.stdout.startswith(f"{digest}  wheel\n{digest}  deb\nBy hand"), done.stderr
        assert {path.name for path in (checkout / "dist").iterdir()} == {"wheel", "deb", "SHA256SUMS"}
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert "two builds of wheel differ" in done.stderr


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
def test_the_sums_are_signed_where_a_key_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist, home = tmp_path / "dist", tmp_path / "gnupg"
    dist.mkdir()
    home.mkdir(mode=0o700)
    (dist / "package").write_text("same")
    monkeypatch.setenv("GNUPGHOME", str(home))
    made = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "release@example.com", "ed25519", "sign"]
    subprocess.run(made, check=True, capture_output=True)

    unsigned = release(ROOT, "--sums", str(dist))
    assert (unsigned.returncode, unsigned.stderr) == (0, "")
    assert {path.name for path in dist.iterdir()} == {"package", "SHA256SUMS"}

    monkeypatch.setenv("LAMPLIGHTER_SIGNING_KEY", "release@example.com")
    signed = release(ROOT, "--sums", str(dist))

    assert signed.stdout == f"{hashlib.sha256(b'same').hexdigest()}  package\n", signed.stderr
    verify = ["gpg", "--verify", str(dist / "SHA256SUMS.asc"), str(dist / "SHA256SUMS")]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    (dist / "SHA256SUMS").write_text("other")
    assert subprocess.run(verify, check=False, capture_output=True).returncode != 0

    monkeypatch.setenv("LAMPLIGHTER_SIGNING_KEY", "nobody@example.com")
    assert "SHA256SUMS is not signed" in release(ROOT, "--sums", str(dist)).stderr
    subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)  # its agent


@pytest.mark.skipif(sys.platform == "win32", reason="only where .ci/run is run")
def test_nothing_is_built_where_a_test_fails(checkout: Path) -> None:
    (checkout / ".ci").mkdir()
    (checkout / ".ci/run").write_text("#!/bin/sh\nexit 1\n")
    (checkout / ".ci/run").chmod(0o755)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "a test that fails")

    done = release(checkout)

    assert done.returncode == 1
    assert ".ci/run failed" in done.stderr
    assert not (checkout / "dist").exists()
