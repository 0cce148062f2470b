"""One line per change of state: 1 MB, three files, 0600, no secret, no line break from outside."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tray_app.base.paths import private_folder
from tray_app.core.errors import LamplighterError
from tray_app.core.failure import plain
from tray_app.core.tokens import masked

LOG = logging.getLogger("lamplighter")

_LIKE_A_TOKEN = re.compile(r"[\w.+=~%-]{20,}")
"""Longer words in a traceback are masked: tokens, codes and verifiers are as long, ordinary words are not."""


class _Line(logging.Formatter):
    """`time LEVEL message`; control and line-break characters in the message become spaces."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = plain(masked(record.message), 1000)
        return super().formatMessage(record)

    def formatException(  # noqa: N802 - as above
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """The traceback of a bug, masked: a library's error may quote its input, such as a secret or a line break."""
        return "".join(_traceback(ei[1])).rstrip("\n")


def _traceback(error: BaseException | None) -> Iterator[str]:
    if error is None:
        return
    yield from _traceback(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _traceback(one)
    yield from traceback.format_tb(error.__traceback__)
    said = masked(plain(error, 500))
    yield f"{type(error).__name__}: {_LIKE_A_TOKEN.sub('***', said)}\n"


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Opens its file with access for this user only, whatever the umask."""

    def _open(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the stream type is logging's own affair
        return open(self.baseFilename, "a", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))


def to_file(path: Path) -> None:
    """Sends what is logged to the file. Other libraries log from WARNING on only: httpx logs whole URLs at INFO."""
    handler: logging.Handler
    try:
        private_folder(path.parent)
        handler = _PrivateFile(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8")
    except (OSError, LamplighterError):  # a missing log must not stop the applet: it logs to stderr instead
        handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    LOG.setLevel(logging.INFO)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
