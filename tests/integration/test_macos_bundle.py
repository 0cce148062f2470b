"""The macOS application as far as it is seen from elsewhere: its spec and its disk image, with the Mac's part faked.

The spec is run as PyInstaller runs it, and its property lists are read by the standard library; a bundle that was made
on a real machine is not seen here.
"""

from __future__ import annotations

import plistlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.builders import script
from tray_app._version import __version__
from tray_app.adapters.platform.autostart import default_command

ROOT = Path(__file__).parents[2]
MACOS = ROOT / "packaging/macos"


class Called:
    """One of PyInstaller's targets: remembers what it was given."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.given, self.named = given, named
        self.scripts: list[Any] = []
        self.binaries: list[Any] = []
        self.datas: list[Any] = []
        self.pure: list[Any] = []


def run_spec(folder: Path, platform: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the spec leaves behind on that platform."""
    hooks = ModuleType("PyInstaller.utils.hooks")
    for name in ("collect_data_files", "collect_submodules", "copy_metadata"):
        monkeypatch.setattr(hooks, name, lambda _package: [], raising=False)
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    monkeypatch.setattr(sys, "platform", platform)
    names: dict[str, Any] = dict.fromkeys(("Analysis", "PYZ", "EXE", "COLLECT", "BUNDLE"), Called)
    names |= {"SPECPATH": str(ROOT / "packaging"), "workpath": str(folder)}
    spec = ROOT / "packaging/lamplighter.spec"
    exec(compile(spec.read_text("utf-8"), spec, "exec"), names)  # noqa: S102 - as PyInstaller does
    return names


def test_the_bundle_lives_in_the_menu_bar_and_is_known_by_its_name_and_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAMPLIGHTER_SIGNING_IDENTITY", raising=False)
    names = run_spec(tmp_path, "darwin", monkeypatch)
    bundle, (program,) = names["bundle"], names["programs"]

    written = plistlib.loads(plistlib.dumps(bundle.named["info_plist"]))
    assert (written["LSUIElement"], written["LSMinimumSystemVersion"]) == (True, "12.0")
    assert written["CFBundleIdentifier"] == bundle.named["bundle_identifier"] == "io.github.lamplighter.Lamplighter"
    assert written["CFBundleVersion"] == bundle.named["version"] == __version__
    languages = {path.name for path in (ROOT / "tray_app/base/locale").iterdir()}
    assert set(written["CFBundleLocalizations"]) == {"en", *languages}
    assert Path(bundle.named["icon"]).read_bytes().startswith(b"icns")
    assert bundle.named["name"] == "Lamplighter.app"
    assert program.named["console"] is False, "else PyInstaller makes it LSBackgroundOnly, which has no menu bar icon"
    assert program.named["codesign_identity"] is None, "ad hoc"
    assert Path(program.named["entitlements_file"]).is_file()


def test_an_identity_of_the_person_signs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_SIGNING_IDENTITY", "Developer ID Application: Somebody")
    names = run_spec(tmp_path, "darwin", monkeypatch)

    assert names["programs"][0].named["codesign_identity"] == "Developer ID Application: Somebody"


def test_it_asks_for_no_right_but_the_one_that_libffi_needs() -> None:
    rights = plistlib.loads((MACOS / "entitlements.plist").read_bytes())

    assert rights == {"com.apple.security.cs.allow-unsigned-executable-memory": True}


@pytest.mark.parametrize(
    ("platform", "programs"), [("linux", ["lamplighter"]), ("win32", ["lamplighter", "lamplighter-tray"])]
)
def test_elsewhere_there_is_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, programs: list[str]
) -> None:
    names = run_spec(tmp_path, platform, monkeypatch)

    assert "bundle" not in names
    assert [program.named["name"] for program in names["programs"]] == programs
    assert names["programs"][0].named["console"] is True


@pytest.mark.skipif(sys.platform == "win32", reason="only where programs have no suffix")
def test_start_at_login_starts_the_program_in_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "Lamplighter.app/Contents/MacOS/lamplighter"
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setattr(sys, "executable", str(program))  # as PyInstaller's loader has it

    assert default_command() == [str(program)]


@pytest.mark.skipif(sys.platform == "win32", reason="only where there are symbolic links and shell scripts")
def test_the_disk_image_holds_the_bundle_its_licences_and_where_to_drag_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = script("app")
    bundle = tmp_path / "dist/Lamplighter.app"
    (bundle / "Contents/MacOS").mkdir(parents=True)
    (bundle / "Contents/Info.plist").write_bytes(plistlib.dumps({}))
    (bundle / "Contents/MacOS/linked").symlink_to("lamplighter")
    (tmp_path / "bundled.txt").write_text("pystray\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, does in (
        ("plutil", 'test -f "$2"'),
        ("codesign", "test -d Contents"),
        ("python", 'echo "licences of $(cat "$2")"'),
        ("hdiutil", 'shift 7; cp -R "$1" "$2"'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setitem(sys.modules["setup_machine"].ENVIRONMENT, "PATH", f"{programs}:/usr/bin:/bin")
    made = SimpleNamespace(
        folder=bundle.with_name("lamplighter"), python=programs / "python", bundled=tmp_path / "bundled.txt"
    )
    monkeypatch.setattr(app.frozen, "build", lambda: made)
    monkeypatch.setattr(sys, "platform", "darwin")

    app.build(tmp_path / "into")

    [image] = (tmp_path / "into").iterdir()
    assert image.name == f"Lamplighter-{__version__}.dmg"
    assert {path.name for path in image.iterdir()} == {"Lamplighter.app", "Applications", "Licences.txt"}
    assert (image / "Licences.txt").read_text("utf-8") == "licences of pystray\n"
    assert (image / "Lamplighter.app/Contents/MacOS/linked").is_symlink()
    assert (image / "Applications").readlink() == Path("/Applications")
