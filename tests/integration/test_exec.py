"""`lamplighter exec`: the token is in the program's environment, and the program is left to itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import Lamplighter, Provider, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where there are shells and signals")


@pytest.fixture
def applet(lamplighter: Lamplighter, provider: Provider) -> Iterator[Lamplighter]:
    lamplighter.given(provider)
    with lamplighter.applet():
        yield lamplighter


def test_the_token_is_in_the_environment(applet: Lamplighter) -> None:
    done = applet.run("exec", "work", "--", "sh", "-c", 'echo "$LAMPLIGHTER_TOKEN"')

    assert (done.code, done.out, done.err) == (0, "canary-access-1\n", "")


def test_it_may_have_another_name_and_then_has_it_alone(applet: Lamplighter) -> None:
    done = applet.run("exec", "work", "--env", "GITLAB_TOKEN", "--", "env")
    lines = [line for line in done.out.splitlines() if "canary" in line]

    assert lines == ["GITLAB_TOKEN=canary-access-1"]
    assert applet.run("exec", "--env=T", "work", "--", "printenv", "T").out == "canary-access-1\n"


def test_the_program_s_options_are_its_own(applet: Lamplighter) -> None:
    done = applet.run("exec", "work", "--", "sh", "-c", 'echo "$@"', "sh", "--env", "x", "--help", "-h", "--", "-")

    assert done.out == "--env x --help -h -- -\n"


@pytest.mark.parametrize("code", [0, 1, 7, 130, 255])
def test_its_exit_code_is_the_program_s(applet: Lamplighter, code: int) -> None:
    assert applet.run("exec", "work", "--", "sh", "-c", f"exit {code}").code == code


def test_it_becomes_the_program(applet: Lamplighter) -> None:
    """Whatever is done to it is then done to the program: signals, terminals, job control, waiting."""
    running = applet.start("exec", "work", "--", "sh", "-c", "echo $$; umask; exec cat", stdin=None)
    assert running.line() == str(running.process.pid)
    before = os.umask(0)
    os.umask(before)
    assert int(running.line(), 8) == before
    running.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE])
def test_signals_reach_the_program(applet: Lamplighter, number: signal.Signals) -> None:
    waiting = "import signal, sys; print('ready', flush=True); signal.pause()"
    default = f"import signal; signal.signal({int(number)}, signal.SIG_DFL); {waiting}"
    running = applet.start("exec", "work", "--", sys.executable, "-c", default)
    assert running.line() == "ready"
    running.signal(number)

    assert running.wait().code == -number


def test_a_pipe_that_closes_ends_the_program_as_it_would_otherwise(applet: Lamplighter) -> None:
    """Python ignores SIGPIPE, and a program that inherited that would go on for ever."""
    done = applet.run("exec", "work", "--", "sh", "-c", "{ yes; echo $? >&2; } | head -n 1")

    assert (done.out, done.err) == ("y\n", f"{128 + signal.SIGPIPE}\n")


def test_the_token_is_in_nobody_s_arguments(applet: Lamplighter) -> None:
    running = applet.start("exec", "work", "--", "sh", "-c", "echo ready; exec cat", stdin=None)
    assert running.line() == "ready"
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")] if sys.platform == "linux" else []
    running.kill()

    assert not [line for line in lines if b"canary-access" in line]


def test_a_program_that_cannot_be_started_is_told(applet: Lamplighter) -> None:
    missing = applet.run("exec", "work", "--", "no-such-program")
    folder = applet.run("exec", "work", "--", "/tmp")  # noqa: S108 - a folder, which cannot be run

    assert (missing.code, "no-such-program" in missing.err) == (127, True)
    assert (folder.code, "/tmp" in folder.err) == (126, True)  # noqa: S108
    assert "canary" not in missing.err + folder.err


def test_without_a_token_the_program_does_not_run(keyless: Lamplighter, provider: Provider) -> None:
    keyless.configure('store = "memory"', provider.account())
    with keyless.applet():
        done = keyless.run("exec", "work", "--", "echo", "it ran")

    assert (done.code, done.out) == (3, "")


@pytest.mark.parametrize(
    "words",
    [(), ("work",), ("work", "--env"), ("work", "--env", "A=B", "--", "true"), ("work", "--env", "", "--", "x")],
)
def test_odd_words_are_a_mistake_in_usage(keyless: Lamplighter, words: tuple[str, ...]) -> None:
    assert keyless.run("exec", *words).code == 2


def test_it_works_without_an_applet_too(lamplighter: Lamplighter, provider: Provider) -> None:
    lamplighter.given(provider, life=600, age=700)
    done = lamplighter.run("exec", "work", "--", "printenv", "LAMPLIGHTER_TOKEN")

    assert (done.code, done.out) == (0, "canary-access-2\n")
    eventually(lambda: provider.refreshes == 1)
