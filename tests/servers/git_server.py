"""A git server over HTTP that wants a token: git's own backend behind a `TokenServer`.

with TokenServer() as server:
serve_git(server, folder)                    # folder holds bare repositories
subprocess.run(["git", "push", f"{server.url}/project.git", "main"], ...)
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.servers.token_server import Answer, Asked, TokenServer


def serve_git(server: TokenServer, folder: Path) -> None:
    """Answers with git-http-backend, as a web server would by CGI (RFC 3875)."""

    def answer(asked: Asked) -> Answer:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REMOTE_USER": "somebody",  # who is known may push
            "REQUEST_METHOD": asked.method,
            "PATH_INFO": asked.path,
            "QUERY_STRING": asked.query,
            "CONTENT_TYPE": asked.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(asked.body)),
            "HTTP_CONTENT_ENCODING": asked.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": asked.headers.get("git-protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], env=variables, input=asked.body, capture_output=True, check=True, timeout=60
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return Answer(int(headers.pop("Status", "200").split()[0]), body, headers)

    server.offers = ['Basic realm="git"', 'Bearer realm="git"']
    server.answer = answer
