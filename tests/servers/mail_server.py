"""Debian's Dovecot for the submission of mail with a token (SASL OAUTHBEARER and XOAUTH2), on loopback.

    with TokenServer() as tokens, MailServer(folder, introspection=tokens.url) as mail:
        ...                                          # a mail program sends to mail.port
        assert "Subject: hello" in mail.taken

Dovecot asks the server of tokens whether one is good, and hands what it takes on to a relay of ours.
"""

from __future__ import annotations

import getpass
import grp
import os
import select
import shutil
import socket
import socketserver
import subprocess
import threading
from pathlib import Path
from typing import Self

NOBODY = 65534

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = submission
ssl = no
disable_plaintext_auth = no
auth_mechanisms = oauthbearer xoauth2
auth_verbose = yes
hostname = localhost
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
mail_location = maildir:{folder}/home/Maildir
{users}
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
"""
OAUTH2 = """\
introspection_mode = auth
introspection_url = {url}/introspect
username_attribute = username
active_attribute = active
active_value = true
"""


def missing_part() -> str | None:
    """What is not installed, or None."""
    if not _dovecot():
        return "dovecot"
    return None if Path("/usr/lib/dovecot/submission").exists() else "dovecot-submissiond"


def _dovecot() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")


class MailServer:
    def __init__(self, folder: Path, introspection: str) -> None:
        self._folder = folder
        self._relay = _Relay(("127.0.0.1", 0), _Taking)
        self._thread = threading.Thread(target=self._relay.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for name in ("run", "state", "home"):
            (folder / name).mkdir(parents=True, mode=0o755)
        is_root = os.getuid() == 0
        uid, gid = (NOBODY, NOBODY) if is_root else (os.getuid(), os.getgid())
        os.chown(folder / "home", uid, gid)
        users = [] if is_root else [f"default_{kind}_user = {getpass.getuser()}" for kind in ("internal", "login")]
        users += [] if is_root else [f"default_internal_group = {grp.getgrgid(gid).gr_name}"]
        text = CONFIGURATION.format(
            folder=folder, relay=self._relay.server_address[1], users="\n".join(users), uid=uid, gid=gid, port=self.port
        )
        (folder / "dovecot.conf").write_text(text)
        (folder / "oauth2.conf").write_text(OAUTH2.format(url=introspection))

    def __enter__(self) -> Self:
        self._thread.start()
        self._process = subprocess.Popen(
            [str(_dovecot()), "-c", self._folder / "dovecot.conf", "-F"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self._process.poll() is None, self.log
            select.select([], [], [], 0.02)
        raise AssertionError(f"dovecot does not listen: {self.log}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._relay.shutdown()
        self._thread.join()
        self._relay.server_close()

    @property
    def taken(self) -> str:
        """All mail that was taken."""
        return self._relay.taken

    @property
    def log(self) -> str:
        file = self._folder / "log"
        return file.read_text() if file.exists() else ""


class _Relay(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    taken = ""


class _Taking(socketserver.StreamRequestHandler):
    """Says yes to everything, and keeps the mail."""

    def handle(self) -> None:
        assert isinstance(self.server, _Relay)
        self.wfile.write(b"220 relay\r\n")
        is_mail = False
        for line in self.rfile:
            if is_mail and line != b".\r\n":
                self.server.taken += line.decode()
                continue
            verb = line[:4].upper()
            is_mail = verb == b"DATA"
            self.wfile.write({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 good\r\n"))
            if verb == b"QUIT":
                return
