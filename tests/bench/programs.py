"""What other programs wait for: `lamplighter token` from a pip installation, and the agent under load."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import oidc_agent
from tests.bench.filled_applet import TOKEN, Started, started
from tests.bench.idle import Watched, resident
from tests.bench.load import Asking, Load, load

ROOT = Path(__file__).parents[2]
CLIENTS = (1, 32, 256)
QUESTION = b"GET /v1/accounts/work/token HTTP/1.1\r\nHost: lamplighter\r\n\r\n"
LAST_QUESTION = b"GET /v1/accounts/work/token HTTP/1.1\r\nHost: lamplighter\r\nConnection: close\r\n\r\n"
MANY = 1000
"""Accounts, more than anybody has."""
IDLE_SECONDS = 61.0
"""Two heartbeats."""


@dataclass(frozen=True)
class TokenCommand:
    """Seconds: medians of the same interpreter, in turn."""

    nothing: float
    """`python -c pass`."""
    token: float
    """`lamplighter token work`, with the script that pip has made."""


@dataclass(frozen=True)
class Agents:
    """Who answers so many programs how quickly: medians."""

    ours: Load
    """A new connection for each question."""
    kept: Load
    """The same over connections that the programs keep."""
    peer: Load
    """oidc-agent, a new connection for each: it knows no other way."""


@dataclass(frozen=True)
class Endurance:
    """Our applet after many answers."""

    grown: float
    """MB over these answers."""
    wakes_per_minute: float
    """Afterwards, with nobody asking."""


@dataclass(frozen=True)
class Size:
    """An applet with so many accounts. Seconds."""

    start: float
    status: float
    """`lamplighter status --json`."""
    idle: float
    """Of a processor, in two heartbeats."""


def token_command(rounds: int) -> TokenCommand:
    """In an environment of its own, installed by pip, as a person would."""
    with tempfile.TemporaryDirectory() as folder, started(Path(folder, "home"), 1) as applet:
        programs = _installed(Path(folder))
        commands = ([programs / "python", "-c", "pass"], [programs / "lamplighter", "token", "work"])
        shown = subprocess.run(
            commands[1], env=applet.environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        assert shown == f"{TOKEN}\n"
        times = [[_seconds(command, applet) for command in commands] for _ in range(rounds + 1)]
    return TokenCommand(*(statistics.median(column) for column in zip(*times[1:], strict=True)))


def agents(questions: int, rounds: int, clients: Sequence[int] = CLIENTS) -> dict[int, Agents]:
    """Ours and oidc-agent for each number of programs that ask at once: so many questions each in turn, in each round.

    Raises FileNotFoundError where the peer is not installed.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        started(Path(folder, "home"), 1) as applet,
        oidc_agent.running(Path(folder, "peer")) as peer,
    ):
        asked = (_ours(applet), _ours(applet, keeps=True), peer)
        for asking in asked:
            load(asking, 32, questions)  # warms up
        found = {}
        for many in clients:
            loads = [[load(each, many, questions) for each in asked] for _ in range(rounds)]
            found[many] = Agents(*map(_median, zip(*loads, strict=True)))
        return found


def endurance(answers: int, seconds: float = IDLE_SECONDS) -> Endurance:
    """So many answers, then so many seconds of rest."""
    with tempfile.TemporaryDirectory() as folder, started(Path(folder, "home"), 1) as applet:
        load(_ours(applet), 256, 5_000)
        before = resident(applet.pid)
        load(_ours(applet), 32, answers)
        grown = resident(applet.pid) - before
        threading.Event().wait(2)
        watched = Watched(applet.pid)
        threading.Event().wait(seconds)
        return Endurance(grown, watched.so_far().wakes_per_minute)


def _ours(applet: Started, *, keeps: bool = False) -> Asking:
    return Asking(applet.socket, QUESTION if keeps else LAST_QUESTION, lambda answer: answer.endswith(b"}"), keeps)


def _median(loads: Sequence[Load]) -> Load:
    rates, p99s = [load.per_second for load in loads], [load.p99 for load in loads]
    return Load(statistics.median(rates), statistics.median(p99s))


def sizes(rounds: int, seconds: float = IDLE_SECONDS) -> tuple[Size, Size]:
    """With one account, and with a thousand."""
    return _size(1, rounds, seconds), _size(MANY, rounds, seconds)


def _size(count: int, rounds: int, seconds: float) -> Size:
    starts, statuses, idle = [], [], 0.0
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder, started(Path(folder, "home"), count) as applet:
            starts.append(applet.seconds)
            command = [Path(sys.executable).with_name("lamplighter"), "status", "--json"]
            statuses += [_seconds(command, applet) for _ in range(3)]
            if number == 0:
                threading.Event().wait(2)
                before = applet.cpu()
                threading.Event().wait(seconds)
                idle = applet.cpu() - before
    return Size(statistics.median(starts), statistics.median(statuses), idle)


def _installed(folder: Path) -> Path:
    """The programs of an environment with a copy of this checkout in it; the libraries are not needed here."""
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    shutil.copytree(ROOT / "tray_app", sources / "tray_app", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv/bin/python", "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", sources], check=True)
    return folder / "venv/bin"


def _seconds(command: Sequence[str | Path], applet: Started) -> float:
    argv = [os.fspath(word) for word in command]
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, applet.environment, file_actions=nowhere)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - began
    assert status == 0, argv
    return seconds
