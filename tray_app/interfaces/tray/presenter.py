"""The tray's side of the applet: shows the engine's state, and passes clicks to the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tray_app._version import __version__
from tray_app.adapters.config.parser import EXAMPLE
from tray_app.base.paths import write_private
from tray_app.core.errors import LamplighterError
from tray_app.core.message import joined, msg
from tray_app.core.ports import Tray, TrayView
from tray_app.core.tokens import Secret
from tray_app.interfaces.applet import Applet
from tray_app.interfaces.tray.menu import Acts, Situation, view_of


class TrayPresenter:
    """A tray that shows an applet. Its menu actions are called in the tray's own thread."""

    def __init__(self, tray: Tray) -> None:
        self._tray = tray
        self._applet: Applet | None = None

    def update(self, applet: Applet) -> None:
        """Shows the applet's current state."""
        self._applet = applet
        self._tray.show(self.view(applet))

    def tick(self, applet: Applet) -> None:
        """Updates the remaining times in a menu that cannot do so when it opens. Called at every heartbeat."""
        if not self._tray.renews_menu:
            self.update(applet)

    def view(self, applet: Applet) -> TrayView:
        """Icon, tooltip and menu."""
        from tray_app.adapters.platform.autostart import autostart

        try:
            at_login = autostart().is_on()
        except LamplighterError:
            at_login = False  # a click on the entry shows the reason
        engine = applet.engine
        situation = Situation(
            engine.statuses(),
            engine.sign_ins.accounts,
            engine.configuration_error,
            at_login,
            applet.world.clock.now(),
        )
        return view_of(situation, self._acts(applet), applet.world.clock)

    def _acts(self, applet: Applet) -> Acts:
        engine = applet.engine
        return Acts(
            sign_in=applet.sign_in,
            copy_link=lambda name: applet.post(lambda: _copy_link(applet, name)),
            paste_answer=lambda name: applet.post(lambda: _paste(applet, name)),
            refresh=lambda name: applet.post(lambda: engine.refresh(name)),
            copy_token=lambda name: applet.post(lambda: _copy(applet, name)),
            sign_out=lambda name: applet.post(lambda: engine.sign_out(name)),
            open_page=applet.show_page,
            add_account=lambda: applet.show_page(adding=True),
            edit_configuration=lambda: applet.post(lambda: edit_configuration(applet)),
            toggle_autostart=lambda: applet.post(lambda: self._toggle_autostart(applet)),
            open_log=lambda: applet.post(lambda: _open(applet.world.places.log_file)),
            about=lambda: applet.post(lambda: _about(applet)),
            quit=applet.end,
        )

    async def _toggle_autostart(self, applet: Applet) -> None:
        from tray_app.adapters.platform.autostart import autostart, default_command

        login = autostart()
        if await asyncio.to_thread(login.is_on):
            await asyncio.to_thread(login.turn_off)
        else:
            await asyncio.to_thread(login.turn_on, default_command())
        self.update(applet)


async def edit_configuration(applet: Applet) -> None:
    """Opens the configuration file, made with a commented example where there is none."""
    path = applet.world.places.config_file
    if not path.exists():
        await asyncio.to_thread(write_private, path, EXAMPLE)
    await applet.incidents.untell("welcome")  # no longer needed
    await _open(path)


def welcome(applet: Applet) -> None:
    """Shows a welcome where there is no configuration yet, with a next step that needs no terminal."""
    applet.tell(
        "welcome",
        msg("Welcome to Lamplighter"),
        msg("The lamp in your panel is lit while you are signed in. Add your first account to light it."),
        actions=[("add", msg("Add Account..."))],
        chosen=lambda _action: applet.show_page(adding=True),
        otherwise=msg("Click the lamp in the panel, then Add Account..."),
    )


async def _open(path: Path) -> None:
    from tray_app.adapters.platform.file_opener import open_file

    if not await asyncio.to_thread(open_file, path):
        what = msg("No program was found that opens {name}", name=path.name)
        raise LamplighterError(what, msg("It is here: {path}", path=path))


async def _copy(applet: Applet, name: str) -> None:
    from tray_app.adapters.platform.clipboard import copy

    tokens = await applet.engine.token(name)
    if not await asyncio.to_thread(copy, tokens.access_token):
        what = msg("The clipboard of this desktop cannot be reached")
        raise LamplighterError(what, msg("Use: {command}", command=f"lamplighter token {name}"))


async def _copy_link(applet: Applet, name: str) -> None:
    from tray_app.adapters.platform.clipboard import copy

    prompt = applet.engine.sign_ins.prompt(name)
    if prompt is not None and not await asyncio.to_thread(copy, Secret(prompt.url)):
        what = msg("The clipboard of this desktop cannot be reached")
        raise LamplighterError(what, msg("Use: {command}", command=f"lamplighter login {name} --paste"))


async def _paste(applet: Applet, name: str) -> None:
    """Passes on the clipboard's text if it carries the state of this sign-in; anything else is discarded."""
    from tray_app.adapters.platform.clipboard_text import clipboard_text

    text = await asyncio.to_thread(clipboard_text)
    await applet.engine.paste(name, text or "", bare=False)


async def _about(applet: Applet) -> None:
    applet.tell("about", joined(" ", ("Lamplighter", __version__)), msg("Keeps you signed in. MIT licence."))
