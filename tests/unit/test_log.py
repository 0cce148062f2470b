"""What a line of the log looks like, and what a bug may tell there."""

import io
import logging
from pathlib import Path

import pytest

from tray_app.base.log import _Line
from tray_app.core.message import msg
from tray_app.core.tokens import Secret

CANARY = "canary-0123456789abcdef.XYZ~"


@pytest.fixture
def written():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line())
    log = logging.getLogger("test_log")
    log.propagate = False
    log.addHandler(handler)
    yield log, stream
    log.removeHandler(handler)


def test_a_line_is_one_line_whatever_a_stranger_said(written):
    log, stream = written

    log.warning("work: %s", "a\nb\u2028c\x1b[31md\u202ee")

    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().rstrip().endswith("WARNING work: a b c [31md e")


def test_the_log_is_in_english_whatever_the_desktop_speaks(written, monkeypatch):
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    log, stream = written

    log.warning("%s", msg("{name}: signed out", name="work"))

    assert stream.getvalue().rstrip().endswith("work: signed out")


@pytest.mark.parametrize(
    "bug",
    [
        ValueError(f"cannot read {CANARY}"),
        KeyError(CANARY),
        UnicodeDecodeError("ascii", b"\xff", 0, 1, f"no ascii in {CANARY}"),
        RuntimeError({"access_token": CANARY}),
        RuntimeError(Secret(CANARY)),
        ExceptionGroup("several", [ValueError(CANARY), ValueError(f"\n  File {CANARY}")]),
    ],
    ids=lambda bug: type(bug).__name__,
)
def test_a_traceback_says_where_and_what_without_what_looks_like_a_token(written, bug):
    log, stream = written

    def deeper(token: str) -> None:
        raise bug

    try:
        try:
            deeper(CANARY)
        except Exception as error:
            raise LookupError(f"while reading {CANARY}") from error
    except LookupError:
        log.exception("a bug")

    told = stream.getvalue()
    assert CANARY not in told
    assert "CANARY" in told  # the lines of the code are there
    assert "in deeper" in told
    assert f"{type(bug).__name__}: " in told
    assert "LookupError: while reading ***" in told


def test_what_a_bug_says_of_itself_stays_readable(written):
    log, stream = written
    place = Path("/nonexistent/place/of/a/file")

    try:
        place.read_bytes()
    except OSError:
        log.exception("a bug")

    assert f"FileNotFoundError: [Errno 2] No such file or directory: {str(place)!r}" in stream.getvalue()


@pytest.mark.parametrize("value", ["p:w d", "hunter2", "ä-secret", "x" * 300])
def test_a_secret_that_this_process_holds_is_masked_however_short_it_is(written, value):
    log, stream = written
    secret = Secret(value)

    log.warning("work: the server said %s", f"no such password: {value}")
    log.error("failed", exc_info=ValueError(f"cannot use {value}"))

    assert secret.reveal() not in stream.getvalue()
    assert "***" in stream.getvalue()
