"""A refresher as one writes it in an afternoon: where people are signed out needlessly, it is what they had.

It is no straw man: each of its habits was found in a product. As a program it makes one refresh:

    python naive_refresher.py FILE TOKEN_URL
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tray_app.base.clock import WallClock


class NaiveRefresher:
    """A plain file and one request; whatever goes wrong ends the sign-in, and the browser asks for the next one."""

    def __init__(self, file: Path, token_url: str, browser: Path | None = None) -> None:
        self._file = file
        self._token_url = token_url
        self._browser = browser

    def signed_in(self, refresh_token: str, ends: float) -> None:
        """As after a sign-in, with an access token that ends at `ends`."""
        self._file.write_text(json.dumps({"refresh_token": refresh_token, "ends": ends}))

    @property
    def is_signed_in(self) -> bool:
        """What it shows: whether the access token still lives."""
        return self._file.exists() and json.loads(self._file.read_text())["ends"] > _now()

    def refresh(self, context: ssl.SSLContext | None = None) -> bool:
        """One tick. Whether it has tokens after it."""
        try:
            sent = {"grant_type": "refresh_token", "refresh_token": json.loads(self._file.read_text())["refresh_token"]}
            body = urllib.parse.urlencode(sent).encode()
            https = urllib.request.HTTPSHandler(context=context)
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
            with opener.open(self._token_url, body, timeout=30) as answer:
                got = json.load(answer)
            self.signed_in(got["refresh_token"], _now() + got["expires_in"])
        except (OSError, ValueError, KeyError):
            self._file.unlink(missing_ok=True)
            if self._browser is not None:
                subprocess.run([self._browser, "https://login.example.com/authorize"], check=True)
            return False
        return True


class LockByAge:
    """A file that says that somebody refreshes; it counts for a minute, by the file's own time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def try_acquire(self) -> bool:
        """Whether nobody else has it."""
        with suppress(FileNotFoundError):
            if _now() - self._file.stat().st_mtime < 60:
                return False
        self._file.touch()
        return True


def code_at(port: int) -> str | None:
    """The code that the browser brings to the one port that the client is registered with: the first request decides.

    Raises OSError where another program has the port.
    """
    found: list[str] = []

    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.extend(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("code", []))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not on the output of the tests."""

    with HTTPServer(("127.0.0.1", port), Callback) as server:
        server.handle_request()
    return found[0] if found else None


def _now() -> float:
    return WallClock().now().timestamp()


if __name__ == "__main__":
    NaiveRefresher(Path(sys.argv[1]), sys.argv[2]).refresh()
