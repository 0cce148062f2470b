"""oidc-agent, the nearest program that hands out tokens on a socket: Debian's, with one account, beside ours."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.bench.filled_applet import TOKEN
from tests.bench.load import Asking
from tests.servers.token_server import Answer, Asked, TokenServer

PACKAGE = "oidc-agent-cli"
REFRESH = "bench-refresh"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Asking]:
    """Signed in at a provider of ours. Raises FileNotFoundError where it is not installed."""
    if shutil.which("oidc-agent") is None:
        raise FileNotFoundError(f"oidc-agent is not installed: apt-get install {PACKAGE}")
    (folder / ".oidc-agent").mkdir(parents=True, mode=0o700)
    path = str(folder / "agent.sock")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "OIDC_SOCK": path}
    argv = ["oidc-agent", "--json", "-a", path]
    told = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, check=True, timeout=20).stdout
    try:
        with TokenServer() as server:
            server.wants_token = False
            server.answer = lambda asked: _provider(server, asked)
            argv = ["oidc-gen", "work", "-m", "--iss", f"{server.url}/", "--client-id", "bench", "--client-secret", "x"]
            argv += ["--scope", "openid", "--flow=refresh", "--rt", REFRESH, "--redirect-uri", "http://localhost:8080"]
            argv += ["--pw-cmd=echo bench", "--prompt=none"]
            subprocess.run(argv, env=environment, capture_output=True, check=True, timeout=20)
            # Plainly, in JSON: its own library encrypts both ways, and takes far longer. The answer is a token that it
            # holds already, as ours is; it closes each connection after it.
            yield Asking(path, b'{"request":"access_token","account":"work","min_valid_period":0}', _is_whole)
    finally:
        os.kill(int(json.loads(told)["dpid"]), signal.SIGTERM)


def _is_whole(answer: bytes) -> bool:
    return TOKEN.encode() in answer and answer.rstrip(b"\0\n ").endswith(b"}")


def _provider(server: TokenServer, asked: Asked) -> Answer:
    metadata = {
        "issuer": f"{server.url}/",
        "authorization_endpoint": f"{server.url}/authorize",
        "token_endpoint": f"{server.url}/token",
        "scopes_supported": ["openid"],
        "grant_types_supported": ["refresh_token", "authorization_code"],
        "response_types_supported": ["code"],
    }
    tokens = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 36_000, "refresh_token": REFRESH}
    body = json.dumps(tokens if asked.path == "/token" else metadata).encode()
    return Answer(200, body, {"Content-Type": "application/json"})
