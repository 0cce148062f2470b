"""Real programs started as the browser: shell scripts that note what they were given."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tray_app.adapters.platform.browser import SystemBrowser

URL = "https://login.example.com/authorize?state=a&b=%24%28touch%20x%29%3B%27%22"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only on Linux and macOS")


class Programs:
    """A PATH with nothing on it but what a test puts there; each program notes its arguments in `NAME.seen`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, then: str = "") -> Path:
        program = self.folder / name
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > "{program}.part"; /bin/mv "{program}.part" "{program}.seen"\n{then}\n'
        )
        program.chmod(0o755)
        return program

    def seen(self, name: str) -> list[str]:
        note = self.folder / f"{name}.seen"
        until(note.exists)
        return note.read_text().splitlines()

    def untouched(self, name: str) -> bool:
        return not (self.folder / f"{name}.seen").exists()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DISPLAY", ":51")
    for name in ("BROWSER", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return Programs(folder)


@pytest.mark.parametrize(
    ("browser", "expected"),
    [
        ("shim", [URL]),
        ("shim %s", [URL]),
        ("shim --private 'a b' %s --after", ["--private", "a b", URL, "--after"]),
        ("shim --url=%s &", [f"--url={URL}"]),
        (f"not-there{os.pathsep}shim --new", ["--new", URL]),
        (f"'open quote{os.pathsep}{os.pathsep}shim", [URL]),
    ],
)
def test_BROWSER_is_obeyed(  # noqa: N802 - the variable's name
    programs: Programs, monkeypatch: pytest.MonkeyPatch, browser: str, expected: list[str]
) -> None:
    programs.add("shim")
    programs.add("xdg-open")
    monkeypatch.setenv("BROWSER", browser)

    assert SystemBrowser().usable()
    assert SystemBrowser().open(URL)

    assert programs.seen("shim") == expected
    assert programs.untouched("xdg-open")


def test_a_program_with_a_space_in_its_name_is_found(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", str(programs.add("my browser")))

    assert SystemBrowser().open(URL)

    assert programs.seen("my browser") == [URL]


def test_without_BROWSER_the_desktop_s_launcher_is_asked(programs: Programs) -> None:  # noqa: N802
    programs.add("firefox")
    programs.add("xdg-open")

    assert SystemBrowser().open(URL)

    assert programs.seen("xdg-open") == [URL]
    assert programs.untouched("firefox")


def test_a_launcher_that_finds_no_browser_hands_on_to_the_next(programs: Programs) -> None:
    programs.add("xdg-open", "exit 3")
    programs.add("gio")

    assert SystemBrowser().open(URL)

    assert programs.seen("gio") == ["open", URL]


def test_where_every_launcher_fails_there_was_no_browser(programs: Programs) -> None:
    programs.add("xdg-open", "exit 3")

    assert not SystemBrowser().open(URL)


def test_without_a_display_no_text_browser_is_started(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.add("xdg-open")
    monkeypatch.delenv("DISPLAY")

    assert not SystemBrowser().usable()
    assert not SystemBrowser().open(URL)
    assert programs.untouched("xdg-open")


def test_without_a_display_BROWSER_still_serves(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: N802
    programs.add("shim")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setenv("BROWSER", "shim")

    assert SystemBrowser().open(URL)


def test_without_any_program_there_is_no_browser(programs: Programs) -> None:
    assert not SystemBrowser().usable()
    assert not SystemBrowser().open(URL)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "-new-window", "https://a/\n--help"])
def test_what_is_no_page_reaches_no_launcher(programs: Programs, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    programs.add("shim")
    monkeypatch.setenv("BROWSER", "shim")

    assert not SystemBrowser().open(url)
    assert programs.untouched("shim")


def test_a_browser_that_stays_neither_blocks_nor_writes_on_our_output(tmp_path: Path) -> None:
    program = tmp_path / "shim"
    program.write_text(
        f"#!/bin/sh\necho loud; echo louder >&2\n/bin/ps -o sid= -p $$ > {tmp_path}/sid\ncat\n"
        f"exec 9<>{tmp_path}/gate\nread line <&9\n"
    )
    program.chmod(0o755)
    os.mkfifo(tmp_path / "gate")
    code = """
        import os, time
        from tray_app.adapters.platform.browser import SystemBrowser
        begin = time.monotonic()
        print("opened", SystemBrowser().open("https://login.example.com/"))
        print("quick", time.monotonic() - begin < 10)
        print(os.getsid(0))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"BROWSER": str(program)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    *lines, session = done.stdout.splitlines()
    assert lines == ["opened True", "quick True"]
    assert done.stderr == ""
    note = tmp_path / "sid"
    until(lambda: note.exists() and note.read_text().strip())
    assert note.read_text().strip() != session
    with (tmp_path / "gate").open("w") as gate:  # blocks for ever where nobody reads: it has outlived us
        gate.write("go\n")


def test_the_browser_has_the_person_s_umask_and_core_limit_and_we_leave_no_core(tmp_path: Path) -> None:
    program = tmp_path / "shim"
    note = "import os, resource; print(os.umask(0), *resource.getrlimit(resource.RLIMIT_CORE))"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{note}' > {tmp_path}/seen\n")
    program.chmod(0o755)
    code = """
        import ctypes, os, resource, sys
        limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
        from tray_app.adapters.platform.browser import SystemBrowser
        from tray_app.launch import keep_private
        keep_private()
        assert SystemBrowser().open("https://login.example.com/")
        print(0o027, limit, limit)
        print(os.umask(0) == 0o077)
        PR_GET_DUMPABLE = 3
        print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE) == 0 if sys.platform.startswith("linux") else True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"BROWSER": str(program)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        umask=0o027,
    )

    the_person_s, *ours = done.stdout.splitlines()
    seen = tmp_path / "seen"
    until(lambda: seen.exists() and seen.read_text().strip())
    assert seen.read_text().strip() == the_person_s
    assert ours == ["True", "True"]


def test_no_zombie_is_left(programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    programs.add("shim", f'echo $$ > "{tmp_path}/pid"; read line < "{gate}"')
    monkeypatch.setenv("BROWSER", "shim")

    assert SystemBrowser().open(URL)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    pid = int((tmp_path / "pid").read_text())
    assert _is_there(pid)
    gate.write_text("go\n")

    until(lambda: not _is_there(pid))


def _is_there(pid: int) -> bool:
    """Whether the process is there still, as a zombie too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "display"),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"}, "SSH"),
        ({"WAYLAND_DISPLAY": "wayland-0", "SSH_TTY": "/dev/pts/0"}, "SSH"),
        ({"container": "podman"}, "container"),
        ({"BROWSER": "/no/such/program"}, "display"),
    ],
    ids=str,
)
def test_why_no_browser_would_open_in_front_of_the_person(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], why: str
) -> None:
    in_an_environment_of(monkeypatch, variables)

    assert why in (SystemBrowser().why_not() or "")


@pytest.mark.parametrize(
    "variables",
    [
        {"DISPLAY": ":0"},
        {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"},
        {"BROWSER": "xdg-open", "SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"},
    ],
    ids=["a desktop", "a display forwarded over SSH", "an editor's own program over SSH"],
)
def test_where_one_would_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]
) -> None:
    program = tmp_path / "xdg-open"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    in_an_environment_of(monkeypatch, {**variables, "PATH": str(tmp_path)})

    assert SystemBrowser().why_not() is None


def in_an_environment_of(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "container"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
