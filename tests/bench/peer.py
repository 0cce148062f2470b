"""email-oauth2-proxy, the nearest program there is: a tray icon over OAuth accounts, on pystray as well.

It lies in an environment of its own in the person's cache, made when it is first needed.
"""

from __future__ import annotations

import platform
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import platformdirs

from tests.desktop.panel_session import PanelSession

REQUIREMENT = "emailproxy[gui]==2026.7.3"
CONFIGURATION = """\
[Server setup]
[IMAP-{port}]
local_address = 127.0.0.1
server_address = imap.example.com
server_port = 993

[Account setup]
[someone@example.com]
permission_url = https://login.example.com/authorize
token_url = https://login.example.com/token
oauth2_scope = mail
redirect_uri = http://127.0.0.1
client_id = bench
client_secret = bench
"""


def installed() -> Path:
    """Its program, on the Python that runs the bench. Raises CalledProcessError where it cannot be had."""
    interpreter = re.sub(r"\W+", "-", f"{sys.base_prefix} {platform.python_version()}")  # Pythons differ in size
    folder = platformdirs.user_cache_path("lamplighter-bench") / REQUIREMENT / interpreter
    program = folder / "bin/emailproxy"
    if not program.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = [folder / "bin/python", "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, REQUIREMENT], check=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # nothing half made is taken for whole the next time
            raise
    return program


def command(desktop: PanelSession) -> list[str]:
    """Starts it with one server and one account, signed out."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration, log = desktop.home / "emailproxy.config", desktop.home / "emailproxy.log"
    configuration.write_text(CONFIGURATION.format(port=port), encoding="utf-8")
    return [str(installed()), "--config-file", str(configuration), "--log-file", str(log)]
