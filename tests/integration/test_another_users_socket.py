"""A command tells nobody's tokens but its own user's applet's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.lamplighter_process import Lamplighter

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="only where there are Unix sockets"),
    pytest.mark.skipif(sys.platform != "win32" and os.getuid() != 0, reason="only root can be another user, too"),
]

STRANGER = """
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
os.setuid(65534)
listening.listen()
print("listening", flush=True)
body = b'{"access_token": "stranger", "token_type": "Bearer", "expires_at": null, "scopes": []}'
while True:
    connected, _ = listening.accept()
    with connected:
        if connected.recv(65536):
            connected.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
"""


@pytest.fixture
def stranger(keyless: Lamplighter) -> Iterator[Lamplighter]:
    """Another user's program where the applet's socket should be."""
    keyless.socket.parent.mkdir(parents=True, mode=0o700)
    program = subprocess.Popen(
        [sys.executable, "-c", STRANGER, str(keyless.socket)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"listening\n"
        yield keyless
        program.kill()


@pytest.mark.parametrize("words", [("token", "work"), ("status",), ("refresh", "work"), ("logout", "work"), ("quit",)])
def test_another_users_program_at_the_socket_is_not_asked(stranger: Lamplighter, words: tuple[str, ...]) -> None:
    done = stranger.run(*words)

    assert (done.code, done.out) == (7, "")
    assert f"another user's program listens at {stranger.socket}" in done.err
