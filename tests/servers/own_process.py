"""An authorization server written in Python, in a process of its own: how it starts, tells its issuer, and ends.

The module that is named runs as a program, gets its options as JSON, and calls `serve` once its application is made.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

ROOT = Path(__file__).parents[2]


class OwnProcess:
    """Runs while it is entered. `issuer` is known from then on; the client "tray" is public, and PKCE is demanded."""

    def __init__(self, module: str, **options: Any) -> None:
        self.client_id = "tray"
        self.issuer = ""
        self._command = [sys.executable, "-m", module, json.dumps(options)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        first = self._process.stdout.readline()  # it comes when it listens, or the end of the stream when it could not
        if not first:
            self.__exit__(None, None, None)
            raise RuntimeError(f"{self._command[2]} did not start; what it said is above")
        self.issuer = json.loads(first)["issuer"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """The test's own output is enough."""


def listening() -> tuple[WSGIServer, str]:
    """A listener without an application yet, and its authority: the application wants to know that."""
    listener = WSGIServer(("127.0.0.1", 0), _Quiet)
    return listener, f"127.0.0.1:{listener.server_port}"


def serve(listener: WSGIServer, application: WSGIApplication, issuer: str) -> None:
    """Tells the issuer to who started this process, and serves until it is killed."""
    listener.set_app(application)
    sys.stdout.write(json.dumps({"issuer": issuer}) + "\n")
    sys.stdout.flush()
    listener.serve_forever()
