"""`on_refresh`: a person's own command after each refresh."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from tests.builders import account
from tray_app.engine import hooks as after_refresh
from tray_app.engine.hooks import run_command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where there is a shell")


def shell(script: str, *words: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script, "sh", *words)


async def test_it_knows_the_account_and_its_arguments_are_given_as_they_stand(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f'printf "%s|%s|%s" "$LAMPLIGHTER_ACCOUNT" "$1" "$(cat)" > {told}'
    await run_command(account("web-shop", on_refresh=shell(script, "$(id) ; *")))

    assert told.read_text() == "web-shop|$(id) ; *|"


async def test_it_gets_no_token(tmp_path: Path) -> None:
    told = tmp_path / "told"
    before = set(os.environ)
    await run_command(account(on_refresh=shell(f"env > {told}")))
    names = {line.partition("=")[0] for line in told.read_text().splitlines()}

    assert names - before - {"_", "PWD", "OLDPWD", "SHLVL"} == {"LAMPLIGHTER_ACCOUNT"}


async def test_one_that_takes_too_long_is_ended_with_all_that_it_has_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(after_refresh, "SECONDS", 0.5)
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    alive = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    await run_command(account(on_refresh=shell(f"exec 9> {fifo}; sleep 60 & wait")))

    os.set_blocking(alive, True)
    assert os.read(alive, 1) == b""  # nobody holds its other end any more
    os.close(alive)
    assert "work: on_refresh took more than" in caplog.text


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/nonexistent/command",), "cannot be run"),
        (("/bin/sh\0",), "cannot be run"),
        (shell("exit 3"), "ended with 3"),
    ],
)
async def test_what_goes_wrong_is_logged(command: tuple[str, ...], said: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await run_command(account(on_refresh=command))

    assert f"work: on_refresh {said}" in caplog.text
