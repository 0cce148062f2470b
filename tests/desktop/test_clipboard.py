"""Copy Token on a real X display, read back by another program."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tray_app.adapters.platform import clipboard
from tray_app.adapters.platform.clipboard_text import clipboard_text
from tray_app.core.tokens import Secret

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

TOKEN = "tok-4f1d-not-for-argument-lists"
PATIENCE = 20.0


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        threading.Event().wait(0.02)


def owners() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "clipboard"]


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An X display of this test alone; when it ends, whoever owned its clipboard has to end as well."""
    for program in ("Xvfb", "xclip"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    locks = Path("/tmp")  # noqa: S108 - where X servers have them
    number = next(number for number in range(61, 66) if not (locks / f".X{number}-lock").exists())
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-nolisten", "tcp", "-displayfd", str(write)],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read, "rb") as ready:
        assert ready.readline().strip() == str(number).encode()
    monkeypatch.setenv("DISPLAY", f":{number}")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("XAUTHORITY", raising=False)
    try:
        yield server
    finally:
        server.terminate()
        server.wait()
    until(lambda: not owners(), "no thread is left once the display is gone")


def pasted(target: str = "UTF8_STRING") -> str | None:
    """What another program gets; None where there is nothing of that kind."""
    answer = subprocess.run(
        ["xclip", "-selection", "clipboard", "-o", "-t", target], capture_output=True, check=False, timeout=PATIENCE
    )
    return answer.stdout.decode() if answer.returncode == 0 else None


def copied_by_another(text: str) -> None:
    """Returns a moment before it is there: xclip takes the clipboard after it has forked."""
    subprocess.run(
        ["xclip", "-selection", "clipboard"],
        input=text.encode(),
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE,
    )


@pytest.mark.usefixtures("display")
def test_the_token_can_be_pasted_again_and_again_and_is_marked_as_a_secret() -> None:
    assert clipboard.copy(Secret(TOKEN))

    assert [pasted(), pasted("STRING"), pasted("text/plain")] == [TOKEN] * 3
    assert "x-kde-passwordManagerHint" in (pasted("TARGETS") or "").split()
    assert pasted("x-kde-passwordManagerHint") == "secret"
    assert pasted("image/png") is None


@pytest.mark.usefixtures("display")
def test_the_token_is_in_no_argument_list_and_no_environment() -> None:
    assert clipboard.copy(Secret(TOKEN))

    for process in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ"):
            try:
                told = (process / what).read_bytes()
            except OSError:  # it has just ended
                continue
            assert TOKEN.encode() not in told, f"{process.name}/{what}"


@pytest.mark.usefixtures("display")
def test_what_another_program_copies_can_be_read() -> None:
    assert clipboard_text() is None
    copied_by_another("http://127.0.0.1/callback?code=C1 ä")

    until(lambda: clipboard_text() == "http://127.0.0.1/callback?code=C1 ä", "what was copied")


@pytest.mark.usefixtures("display")
def test_our_own_copy_can_be_read_too() -> None:
    assert clipboard.copy(Secret("canary"))

    assert clipboard_text() == "canary"


@pytest.mark.usefixtures("display")
def test_what_another_program_copies_takes_its_place() -> None:
    assert clipboard.copy(Secret(TOKEN))
    copied_by_another("something else")

    until(lambda: pasted() == "something else", "the other program's copy")
    until(lambda: not owners(), "the token is let go of")


@pytest.mark.usefixtures("display")
def test_the_second_token_takes_the_place_of_the_first() -> None:
    assert clipboard.copy(Secret("the first"))
    assert clipboard.copy(Secret(TOKEN))

    assert pasted() == TOKEN
    until(lambda: len(owners()) == 1, "the first is let go of")


@pytest.mark.usefixtures("display")
def test_the_token_does_not_stay_on_the_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "KEPT_FOR", 0.5)
    assert clipboard.copy(Secret(TOKEN))

    until(lambda: not owners(), "its time has passed")
    assert pasted() is None


@pytest.mark.usefixtures("display")
def test_the_end_of_our_time_leaves_alone_what_another_program_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "KEPT_FOR", 0.5)
    began = time.monotonic()
    assert clipboard.copy(Secret(TOKEN))
    copied_by_another("something else")

    until(lambda: pasted() == "something else", "the other program's copy")
    until(lambda: time.monotonic() > began + 1 and not owners(), "its time would have passed")
    assert pasted() == "something else"


def test_a_display_that_ends_takes_the_token_with_it(display: subprocess.Popen[bytes]) -> None:
    assert clipboard.copy(Secret(TOKEN))
    display.terminate()

    until(lambda: not owners(), "the display has ended")  # without a traceback: pytest fails on one in a thread


# python-xlib leaves the sockets of a connection that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["", ":65000", "nonsense"])
def test_without_a_display_nothing_is_copied_and_that_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("DISPLAY", name)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    assert not clipboard.copy(Secret(TOKEN))


WL_COPY = """#!/bin/sh
# wl-copy 2.1: does not know --sensitive; in the foreground it serves its standard input until it is cleared.
cd "$(dirname "$0")" || exit 1
echo "$@" >> calls
case "$*" in
  --clear) touch cleared; exit;;
  *--sensitive*) exit 1;;
esac
cat > taken
while [ ! -e cleared ]; do sleep 0.05; done
"""


def test_under_wayland_an_older_wl_copy_is_given_the_token_on_its_standard_input_and_cleared_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "wl-copy"
    program.write_text(WL_COPY)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(clipboard, "KEPT_FOR", 0.5)

    assert clipboard.copy(Secret(TOKEN))
    until(lambda: not owners(), "it was cleared")

    assert (tmp_path / "taken").read_text() == TOKEN
    assert (tmp_path / "calls").read_text().splitlines() == [
        "--foreground --type text/plain --sensitive",
        "--foreground --type text/plain",
        "--clear",
    ]


def test_without_a_runtime_folder_wl_copy_gets_no_token_that_it_would_keep_below_tmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "wl-copy"
    program.write_text(WL_COPY)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)

    assert not clipboard.copy(Secret(TOKEN))
    assert not (tmp_path / "taken").exists()
