"""Start at Login, as the desktop will read it: its files are parsed by what the specifications say, not by our code."""

import configparser
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.platform.autostart import LaunchAgent, XdgAutostart, _exec_argument, autostart, default_command
from tray_app.core.errors import LamplighterError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where the desktop reads files")
LAMPLIGHTER = "/opt/lamp lighter/bin/lamplighter-tray"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the desktop looks for autostart files; HOME and its like lie under the test's own folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LAMPLIGHTER_HOME", raising=False)
    return tmp_path / "config" / "autostart"


def as_a_desktop_runs_it(exec_key: str) -> list[str]:
    """The arguments of an Exec key: string escapes, then quoting, then field codes (Desktop Entry Specification)."""
    unescaped = ""
    characters = iter(exec_key)
    for character in characters:
        unescaped += {"\\": "\\", "n": "\n"}[next(characters)] if character == "\\" else character
    # Within double quotes a POSIX shell undoes what the specification asks for; shlex leaves \` and \$ as they are.
    arguments = shlex.split(unescaped.replace("\\`", "`").replace("\\$", "$"))
    return [argument.replace("%%", "%") for argument in arguments]


def entry(path: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys keep their case
    parser.read(path, encoding="utf-8")
    return parser["Desktop Entry"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", [XdgAutostart, LaunchAgent])
def test_it_is_off_at_first_on_when_turned_on_and_off_again(kind: type[XdgAutostart] | type[LaunchAgent]) -> None:
    seen = [kind().is_on()]
    kind().turn_on([LAMPLIGHTER])
    seen.append(kind().is_on())
    kind().turn_off()
    kind().turn_off()
    seen.append(kind().is_on())

    assert seen == [False, True, False]


def test_the_desktop_starts_the_command_without_a_terminal(folder: Path) -> None:
    XdgAutostart().turn_on([LAMPLIGHTER, "a b"])

    written = entry(folder / "lamplighter.desktop")
    assert as_a_desktop_runs_it(written["Exec"]) == [LAMPLIGHTER, "a b"]
    assert (written["Type"], written["Name"], written["Terminal"]) == ("Application", "Lamplighter", "false")
    assert written["X-GNOME-Autostart-enabled"] == "true"


def test_the_home_of_this_lamplighter_is_the_home_of_the_one_at_login(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_HOME", str(tmp_path / "my home"))

    XdgAutostart().turn_on([LAMPLIGHTER])
    LaunchAgent().turn_on([LAMPLIGHTER])

    home = str(tmp_path / "my home")
    written = entry(folder / "lamplighter.desktop")
    assert as_a_desktop_runs_it(written["Exec"]) == ["env", f"LAMPLIGHTER_HOME={home}", LAMPLIGHTER]
    agent = plistlib.loads((tmp_path / "Library/LaunchAgents/lamplighter.plist").read_bytes())
    assert agent["EnvironmentVariables"] == {"LAMPLIGHTER_HOME": home}


def test_launchd_starts_it_at_login_and_does_not_bring_it_back_after_quit(folder: Path, tmp_path: Path) -> None:
    LaunchAgent().turn_on([LAMPLIGHTER])

    agent = plistlib.loads((tmp_path / "Library/LaunchAgents/lamplighter.plist").read_bytes())
    assert agent == {"Label": "lamplighter", "ProgramArguments": [LAMPLIGHTER], "RunAtLoad": True}
    assert not folder.exists()


@pytest.mark.parametrize("line", ["Hidden=true", "Hidden = true", "X-GNOME-Autostart-enabled=false"])
def test_what_was_switched_off_in_the_desktops_settings_is_off_until_it_is_turned_on(folder: Path, line: str) -> None:
    XdgAutostart().turn_on([LAMPLIGHTER])
    path = folder / "lamplighter.desktop"
    path.write_text(path.read_text() + line + "\n")
    seen = [XdgAutostart().is_on()]
    XdgAutostart().turn_on([LAMPLIGHTER])
    seen.append(XdgAutostart().is_on())

    assert seen == [False, True]


def test_nobody_else_may_write_what_is_started_at_login_and_the_desktops_folder_stays_as_it_is(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o755)

    XdgAutostart().turn_on([LAMPLIGHTER])

    assert (folder / "lamplighter.desktop").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_place_that_cannot_be_written_is_told_with_its_path(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the desktop's folder should be")

    with pytest.raises(LamplighterError, match=r"lamplighter\.desktop cannot be read or written") as told:
        XdgAutostart().turn_on([LAMPLIGHTER])
    assert told.value.remedy


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_every_argument_reaches_the_program_as_it_was(command: list[str]) -> None:
    assert as_a_desktop_runs_it(" ".join(map(_exec_argument, command))) == command


@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="desktop-file-validate is not installed")
@pytest.mark.parametrize(
    "command",
    [[LAMPLIGHTER], ["/usr/bin/python3", "-P", "-m", "tray_app"], ['/odd/$HOME `id` "it\'s" 100% \\ *?~&;|<>()#/x']],
    ids=["the script", "the package", "a hostile path"],
)
def test_the_file_is_valid_by_freedesktops_own_tool(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_HOME", "/home/me/a=b %f")
    XdgAutostart().turn_on(command)

    path = folder / "lamplighter.desktop"
    said = subprocess.run(["desktop-file-validate", path], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_it_is_started_again_by_the_script_beside_its_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lamplighter").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    only_the_command = default_command()
    (tmp_path / "lamplighter-tray").touch()

    assert only_the_command == [str(tmp_path / "lamplighter")]
    assert default_command() == [str(tmp_path / "lamplighter-tray")]


def test_without_a_script_it_is_started_again_by_its_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))

    assert default_command() == [str(tmp_path / "python3"), "-P", "-m", "tray_app"]


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
def test_on_linux_it_is_the_desktops_autostart_folder() -> None:
    assert isinstance(autostart(), XdgAutostart)
