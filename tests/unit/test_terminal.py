"""What a stranger wrote does not reach a terminal as a command to it."""

import pytest

from tray_app.cli.commands.terminal import say
from tray_app.core.failure import printable


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\x08", "\u202e", "\u2028", "\x00", "\x7f"]
)
def test_what_a_terminal_acts_on_becomes_a_space(hostile, capsys):
    say(f"a{hostile}b")

    shown = capsys.readouterr().err
    assert hostile not in shown
    assert shown.startswith("lamplighter: a")


def test_line_breaks_and_letters_of_any_language_stay():
    assert printable("eins\nzwei: Größe, 鍵, ключ") == "eins\nzwei: Größe, 鍵, ключ"
