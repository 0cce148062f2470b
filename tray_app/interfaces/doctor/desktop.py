"""Panel, notifications, browser, start at login: what a person sees of Lamplighter."""

from __future__ import annotations

import os
import platform

from tray_app.adapters.platform.desktop_session import Session, find_session
from tray_app.core.errors import LamplighterError
from tray_app.core.message import joined, msg
from tray_app.interfaces.doctor import advice
from tray_app.interfaces.doctor.blocking import in_thread
from tray_app.interfaces.doctor.finding import Finding, cannot, ok, skipped

NO_DESKTOP = msg(
    "there is no desktop here: Lamplighter runs without one, as `{command}`", command="lamplighter run --headless"
)


async def session() -> Session:
    """What is here."""
    return await in_thread(find_session)


async def tray() -> Finding:
    """Whether there is a place for the icon."""
    found = await session()
    if found.tray in {"status-notifier", "native"}:
        is_linux = found.platform == "linux"
        return ok("tray", msg("the panel collects icons (StatusNotifier)") if is_linux else msg("the system has one"))
    if found.tray == "xembed":
        return ok("tray", msg("an XEmbed tray: the icon shows, but has no menu there"), advice.tray())
    if not found.has_display:
        return skipped("tray", NO_DESKTOP)
    return cannot("tray", found.reasons.get("tray", msg("no panel collects icons")), advice.tray())


async def notifications() -> Finding:
    """Whether a notification can be shown, and what it can have."""
    if platform.system() != "Linux":
        return await _native_notifications()
    found = await session()
    if not found.has_session_bus:
        why = found.reasons.get("session bus", msg("there is no session bus"))
        if not found.has_display:
            return skipped("notifications", NO_DESKTOP)
        return cannot("notifications", why, msg("Sign in to a desktop session; over SSH there is none"))
    from tray_app.interfaces.notifications.daemon_info import notification_daemon

    daemon = await notification_daemon(found.bus_address)
    if daemon is None:
        if not found.has_display:
            return skipped("notifications", NO_DESKTOP)
        return cannot("notifications", msg("no notification daemon answers"), advice.notifications())
    name, capabilities = daemon
    abilities = ", ".join(sorted(capabilities)) or msg("nothing beside text")
    says = msg("{name} can do: {abilities}", name=name, abilities=abilities)
    if "actions" not in capabilities:
        no_buttons = msg("it has no buttons: the text says where to click instead")
        return ok("notifications", joined("; ", (says, no_buttons)))
    return ok("notifications", says)


async def browser() -> Finding:
    """Whether a page can be opened."""
    from tray_app.adapters.platform.browser import SystemBrowser

    program = await in_thread(SystemBrowser().name)
    if program:
        return ok("browser", program)
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        remedy = msg("Sign in with: {command}", command="lamplighter login ACCOUNT --no-browser")
        return skipped("browser", msg("there is no display here"), remedy)
    return cannot("browser", msg("no browser was found"), advice.install("firefox"))


async def autostart() -> Finding:
    """Whether the desktop starts Lamplighter at login."""
    from tray_app.adapters.platform.autostart import autostart as at_login

    try:
        is_on = await in_thread(at_login().is_on)
    except LamplighterError as error:
        return cannot("autostart", error.what, error.remedy)
    if is_on:
        return ok("autostart", msg("on"))
    return ok("autostart", msg("off"), msg("Switch it on: {command}", command="lamplighter autostart on"))


async def _native_notifications() -> Finding:
    from tray_app.interfaces.notifications.native_notifier import NativeNotifier

    notifier = NativeNotifier()
    try:
        if not await notifier.probe():
            return cannot("notifications", msg("the system takes none from this program"), advice.notifications())
        return ok("notifications", msg("with buttons") if notifier.has_actions else msg("without buttons"))
    finally:
        await notifier.close()
