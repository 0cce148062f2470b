"""OpenSSH's server on loopback, for the user who runs the tests, with a key of its own.

with SshServer(folder) as server:
subprocess.run([*server.ssh, "echo hello"])
"""

from __future__ import annotations

import getpass
import os
import select
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
AcceptEnv LAMPLIGHTER_*
"""


def missing_part() -> str | None:
    """What is not installed, or None."""
    return next((name for name in ("sshd", "ssh", "ssh-keygen") if _program(name) is None), None)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


class SshServer:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        for key in ("host_key", "user_key"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        (folder / "sshd_config").write_text(CONFIGURATION.format(port=self._port, folder=folder))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as its service would

    def __enter__(self) -> Self:
        with (self._folder / "log").open("w") as log:
            argv = [str(_program("sshd")), "-D", "-e", "-f", self._folder / "sshd_config"]
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            assert self._process.poll() is None, self.log
            select.select([], [], [], 0.02)
        raise AssertionError(f"sshd does not listen: {self.log}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    @property
    def ssh(self) -> list[str]:
        """The words before those of a remote command."""
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", f"UserKnownHostsFile={self._folder}/known_hosts"]
        options += ["LogLevel=ERROR", "IdentitiesOnly=yes", "ExitOnForwardFailure=yes", "SendEnv=LAMPLIGHTER_*"]
        words = [word for option in options for word in ("-o", option)]
        key = str(self._folder / "user_key")
        return ["ssh", "-F", "none", *words, "-i", key, "-p", str(self._port), f"{getpass.getuser()}@127.0.0.1"]
