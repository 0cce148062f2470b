"""A browser without a window whose person approves every sign-in, for desktops that nobody looks at."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.desktop.panel_session import PanelSession

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, urllib.request
from tests.servers.person import redirect_after_approval
open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
navigating = {"Sec-Fetch-Mode": "navigate"}
urllib.request.urlopen(urllib.request.Request(redirect_after_approval(sys.argv[2]), headers=navigating)).read()
"""


class ApprovingBrowser:
    """The session's BROWSER from now on."""

    def __init__(self, session: PanelSession) -> None:
        self._pages = session.home / "pages"
        program = session.home / "browser"
        argv = shlex.join((sys.executable, "-c", PROGRAM, str(self._pages)))
        program.write_text(f'#!/bin/sh\ncd {ROOT} && exec {argv} "$1"\n', encoding="utf-8")
        program.chmod(0o755)
        session.env["BROWSER"] = str(program)

    @property
    def pages(self) -> list[str]:
        """What it was asked to open."""
        return self._pages.read_text(encoding="utf-8").splitlines() if self._pages.exists() else []
