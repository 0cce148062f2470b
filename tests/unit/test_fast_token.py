"""The short way of `lamplighter token`: what it takes upon itself, and what it leaves to the full command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tray_app.base.paths import places
from tray_app.base.socket_path import socket_path
from tray_app.interfaces.agent.fast_token import _question

PLACES = ("LAMPLIGHTER_SOCKET", "LAMPLIGHTER_HOME", "XDG_RUNTIME_DIR")


@pytest.mark.parametrize(
    ("words", "query", "kind"),
    [
        ("work", "work/token", "text/plain"),
        ("--json my.account-2_x", "my.account-2_x/token", "application/json"),
        ("work --min-ttl 300 --no-wait", "work/token?min_ttl=300&wait=0", "text/plain"),
        ("work --no-wait", "work/token?min_ttl=0&wait=0", "text/plain"),
        ("--min-ttl=60 work --json", "work/token?min_ttl=60", "application/json"),
    ],
)
def test_the_usual_words_are_understood(words: str, query: str, kind: str) -> None:
    assert _question(words.split()) == (f"/v1/accounts/{query}", kind)


@pytest.mark.parametrize(
    "words",
    ["", "--help", "-h", "work home", "work --min-ttl", "work --min-ttl soon", "work --min-ttl -1", "work --min-ttl=",
     "work --min-ttl 9999999999", "work --min-ttl \u0663", "a/b", "../x", "a%2fb", "w\u00f6rk", "work?x=1", "-- work",
     "--jsno work", "work\r\nX:1"],
)  # fmt: skip
def test_what_is_odd_is_left_to_the_full_command(words: str) -> None:
    assert _question(words.split(" ") if words else []) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"LAMPLIGHTER_SOCKET": "/somewhere/else.sock"},
        {"LAMPLIGHTER_SOCKET": "/somewhere/else.sock", "LAMPLIGHTER_HOME": "/home/x"},
        {"LAMPLIGHTER_HOME": "/home/x"},
        {"LAMPLIGHTER_HOME": "here"},
        {"LAMPLIGHTER_HOME": "~/there"},
        {"LAMPLIGHTER_SOCKET": "", "LAMPLIGHTER_HOME": ""},
        pytest.param(
            {"XDG_RUNTIME_DIR": "{tmp}"}, marks=pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems")
        ),
        {"XDG_RUNTIME_DIR": ""},
        {"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "{tmp}"},
        {"XDG_RUNTIME_DIR": "relative"},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items()),
)
def test_the_socket_is_where_every_other_command_looks(
    changes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    for name, value in changes.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    found = socket_path()

    assert found is None or Path(os.path.abspath(found)) == places().socket  # noqa: PTH100 - as the kernel resolves it
    is_plain = "XDG_RUNTIME_DIR" in changes or "" in changes.values()
    is_unknown = sys.platform == "darwin" and is_plain  # which has a folder of its own for it
    assert (found is None) == (is_unknown or any(value.startswith("~") for value in changes.values()))
