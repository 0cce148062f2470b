import os
import sys
import threading

import pytest

from tray_app.cli.pasted_line import read_line

if sys.platform == "win32":
    pytest.skip("only where terminals have modes", allow_module_level=True)

import pty
import termios


def pasted(keys: bytes, *, close: bool = False) -> tuple[str, bool]:
    """What is read when these keys come to a terminal, and whether its modes are then as before."""
    controller, terminal = pty.openpty()
    modes = termios.tcgetattr(terminal)
    found: list[str] = []
    reading = threading.Thread(target=lambda: found.append(read_line(terminal)))
    echo = threading.Thread(target=lambda: drain(controller), daemon=True)
    reading.start()
    echo.start()
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        pass
    for start in range(0, len(keys), 512):
        os.write(controller, keys[start : start + 512])
    reading.join(20)
    same = termios.tcgetattr(terminal) == modes
    os.close(terminal)
    return found[0], same


def drain(controller: int) -> None:
    """A terminal shows what is typed; unread, its echo would stop it."""
    try:
        while os.read(controller, 4096):
            pass
    except OSError:
        os.close(controller)


def test_more_than_a_terminals_line_is_read_whole() -> None:
    url = "http://127.0.0.1/callback?code=" + "x" * 9000

    assert pasted(url.encode() + b"\n") == (url, True)


def test_a_url_that_was_broken_over_lines_is_joined() -> None:
    assert pasted(b"http://127.0.0.1/callback?\r\n  code=abc&\nstate=x\n") == (
        "http://127.0.0.1/callback?code=abc&state=x",
        True,
    )


@pytest.mark.parametrize(
    ("keys", "line"), [(b"ab\x7fc\n", "ac"), (b"ab\x15c\n", "c"), (b"\n", ""), (b"abc\x04", "abc")]
)
def test_a_line_can_still_be_edited(keys: bytes, line: str) -> None:
    assert pasted(keys) == (line, True)


def test_what_is_no_terminal_gives_one_line() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\n")

    assert read_line(reader) == "one"
    os.close(reader)
    os.close(writer)
