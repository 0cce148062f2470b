"""The commands that set a machine up: what they install is pinned, asked for, and never a surprise of `--help`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.builders import script

ROOT = Path(__file__).parents[2]
BARE = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "CI"}}
ENTRY = re.compile(r"[\w.\[\],-]+==\S+( ; [^\n]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\)?\n?)+$")
REGISTRY = re.compile(r"index-url|find-links|https?:|file:|@ ")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout of what the commands read, without an environment."""
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "packaging", checkout / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "tray_app").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "tray_app/_version.py"):
        shutil.copyfile(ROOT / name, checkout / name)
    return checkout


def called(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the script did; it has no network to speak of."""
    return subprocess.run(
        [sys.executable, "-B", str(checkout / words[0]), *words[1:]],
        env={**BARE, "PIP_NO_INDEX": "1", "HOME": str(checkout.parent)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def files(checkout: Path) -> set[str]:
    return {str(path.relative_to(checkout)) for path in checkout.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize("name", ["test", "try", "install", "build", "release", "requirements"])
def test_help_explains_and_installs_nothing(copy: Path, name: str) -> None:
    before = files(copy.parent)

    done = called(copy, f"packaging/{name}.py", "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"packaging/{name}.py" in done.stdout
    assert files(copy.parent) == before


def test_help_explains_every_option_of_the_tests(copy: Path) -> None:
    said = called(copy, "packaging/test.py", "--help").stdout

    for option in ("--lint", "--lowest", "--packages", "--wine", "--no-system", "--yes"):
        assert re.search(rf"^  {option}\s+\w", said, re.MULTILINE), option


def test_the_pinned_files_are_up_to_date_and_an_edited_dependency_is_found_without_the_network(copy: Path) -> None:
    current = called(copy, "packaging/requirements.py", "--check")
    assert (current.returncode, current.stderr) == (0, "")

    pyproject = copy / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text.replace('"httpx[socks]>=0.28,<0.29"', '"httpx[socks]>=0.28.1,<0.29"'), "utf-8")
    stale = called(copy, "packaging/requirements.py", "--check")

    assert stale.returncode == 1
    assert "packaging/requirements/run.txt" in stale.stderr
    assert "packaging/requirements/test.txt" not in stale.stderr
    assert "python3 packaging/requirements.py" in stale.stderr


def test_a_comment_in_pyproject_asks_for_nothing_else(copy: Path) -> None:
    pyproject = copy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8") + "# a comment\n", "utf-8")

    assert called(copy, "packaging/requirements.py", "--check").returncode == 0


def test_every_requirement_is_one_version_with_hashes_and_no_registry_is_named() -> None:
    found = sorted((ROOT / "packaging/requirements").glob("*.txt"))
    assert {path.stem for path in found} == {"run", "test", "lint", "package", "node", "freeze", "wine"}

    for path in found:
        text = path.read_text("utf-8")
        assert not REGISTRY.search(text), path
        entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
        assert entries, path
        for entry in entries:
            assert ENTRY.match(entry), entry


def test_the_files_agree_on_every_version() -> None:
    first: dict[str, set[str]] = {}
    for path in sorted((ROOT / "packaging/requirements").glob("*.txt")):
        versions: dict[str, set[str]] = {}  # more than one where it depends on Python's version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text("utf-8"), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
        for name, found in versions.items():
            assert first.setdefault(name, found) == found, f"{name} in {path.name}"


def test_what_has_another_hash_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup_machine = script("setup_machine")
    monkeypatch.setattr(setup_machine.pins, "FOLDER", tmp_path)
    wheel, about = tmp_path / "example-1.0-py3-none-any.whl", "example-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(tmp_path)]
    argv = [*pip, "--target", str(tmp_path / "installed"), *setup_machine.hashed("own")]

    for digest, code in (("0" * 64, 1), (hashlib.sha256(wheel.read_bytes()).hexdigest(), 0)):
        (tmp_path / "own.txt").write_text(f"example==1.0 --hash=sha256:{digest}\n")
        done = subprocess.run(argv, env=BARE, capture_output=True, text=True, check=False)

        assert done.returncode == code, done.stderr
        assert ("DO NOT MATCH THE HASHES" in done.stderr) is bool(code)


@pytest.fixture
def setup_machine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("setup_machine")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "argv", ["test.py"])
    return module


class Terminal:
    """A stdin at which a person sits."""

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, 0

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        self.asked += 1
        return self.answer


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_a_person_at_a_terminal_is_asked_first(
    setup_machine: ModuleType, monkeypatch: pytest.MonkeyPatch, answer: str, *, goes_on: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))

    if goes_on:
        setup_machine.agree("Install it?")
    else:
        with pytest.raises(SystemExit, match="Nothing was installed"):
            setup_machine.agree("Install it?")


@pytest.mark.parametrize("why", ["--yes", "CI"])
def test_nobody_is_asked_who_said_yes_before_or_is_not_there(
    setup_machine: ModuleType, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    terminal = Terminal("n\n")
    monkeypatch.setattr(sys, "stdin", terminal)
    if why == "CI":
        monkeypatch.setenv("CI", "true")
    else:
        monkeypatch.setattr(sys, "argv", ["test.py", "--yes"])

    setup_machine.agree("Install it?")

    assert terminal.asked == 0


@pytest.mark.skipif(sys.platform == "win32", reason="sudo is a shell script here")
@pytest.mark.parametrize("needs_password", [False, True], ids=["without a password", "with a password"])
def test_sudo_asks_for_a_password_only_where_it_has_to(
    setup_machine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, needs_password: bool
) -> None:
    log = tmp_path / "log"
    (tmp_path / "sudo").write_text(
        f'#!/bin/sh\necho "$*" >> {log}\n[ "$1" = -n ] && exit {int(needs_password)}\nexit 0\n'
    )
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert setup_machine._sudo_is_there()

    assert log.read_text().splitlines() == ["-n true", "-v"][: 1 + needs_password]


def test_hosted_actions_are_pinned_by_commit() -> None:
    workflows = list((ROOT / ".github/workflows").glob("*.yml"))
    used = [line for path in workflows for line in path.read_text("utf-8").splitlines() if "uses:" in line]

    assert len(used) > 5
    for line in used:
        assert re.search(r"uses: [\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
