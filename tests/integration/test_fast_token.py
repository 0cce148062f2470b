"""`lamplighter token` beside a running applet: nothing is imported that is not needed, and nothing else is printed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import COMMAND, Lamplighter, Provider

ITS_OWN = {
    "tray_app",
    "tray_app.__main__",
    "tray_app.base",
    "tray_app.base.socket_path",
    "tray_app.interfaces",
    "tray_app.interfaces.agent",
    "tray_app.interfaces.agent.fast_token",
    "tray_app.interfaces.agent.peer",
}
OF_THE_LIBRARY = {"_socket"}
OF_THE_SCRIPT = "import re"
"""What pip's own script imports before it comes to us; newer ones do not."""


@pytest.fixture
def applet(lamplighter: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    lamplighter.given(provider)
    with lamplighter.applet():
        yield lamplighter


def imported(lamplighter: Lamplighter, *words: str) -> set[str]:
    argv = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(argv, env=lamplighter.environment, capture_output=True, text=True, check=True, timeout=60)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_nothing_is_imported_that_is_not_needed(applet: Lamplighter) -> None:
    before = imported(applet, "-c", OF_THE_SCRIPT)

    assert imported(applet, str(COMMAND), "token", "work") - before <= ITS_OWN | OF_THE_LIBRARY


def test_the_token_is_all_that_is_printed(applet: Lamplighter) -> None:
    done = applet.run("token", "work", "--min-ttl", "60")

    assert (done.code, done.out, done.err) == (0, "canary-access-1\n", "")
    assert applet.run("token", "work", "--json").json()["access_token"] == "canary-access-1"


def test_both_ways_say_the_same_of_what_goes_wrong(applet: Lamplighter, provider: Provider) -> None:
    def both(*words: str) -> tuple[int, str]:
        short = applet.run("token", *words)
        long = applet.run("token", *words, "--")  # which the short way does not know
        assert (short.code, short.out, short.err) == (long.code, long.out, long.err)
        return short.code, short.err

    assert both("nobody")[0] == 5
    assert both("work", "--min-ttl", "99999")[0] == 4
    assert both("--min-ttl", "99999", "--no-wait", "work")[0] == 4
    provider.answer(json_response(400, error="invalid_grant"))
    assert applet.run("refresh", "work").code == 3
    code, said = both("work", "--no-wait", "--json")
    assert (code, "lamplighter login work" in said) == (3, True)


def test_an_applet_that_ends_in_the_middle_of_its_answer_is_no_applet(
    lamplighter: Lamplighter, provider: Provider
) -> None:
    lamplighter.given(provider)
    lamplighter.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(lamplighter.socket))
        listening.listen()

        def answer() -> None:
            connected, _ = listening.accept()
            with connected:
                connected.recv(65_536)
                connected.sendall(b"HTTP/1.1 200 \r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf-a-tok")
            listening.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        done = lamplighter.run("token", "work")
        thread.join()

    assert (done.code, done.out) == (0, "canary-access-1\n")


def test_a_stopped_applet_is_not_waited_for(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider)
    with lamplighter.applet() as applet:
        applet.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            done = lamplighter.run_all(["token", "work"], ["token", "work", "--"], ["status"])
            seconds = time.monotonic() - began
        finally:
            applet.signal(signal.SIGCONT)

    assert [one.code for one in done] == [4, 4, 4]
    assert all("the applet does not respond" in one.err for one in done)
    assert seconds < 30


def test_a_reader_that_has_gone_is_no_news(applet: Lamplighter) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [COMMAND, "token", "work"], env=applet.environment, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, b"")
