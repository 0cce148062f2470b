"""A pystray backend over StatusNotifierItem: the icon of KDE, Xfce, LXQt, waybar, and GNOME with its extension.

pystray's own backends for Linux need GTK's introspection, or have no menu. This one needs a session bus and dbus-fast.
Importing pystray chooses one of its backends and may want a display for that: import this module through
`tray.pystray_backend`.

The icon registers with the watcher, the panel's part that collects icons, as soon as there is one, and again whenever
another takes its place: a panel may come after us, or die and come back. So may the bus itself.
"""

# No postponed annotations here: dbus-fast reads them as signatures and stumbles over a postponed "None".

import asyncio
import concurrent.futures
import contextlib
import functools
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

from dbus_fast import BusType, Message, MessageFlag, MessageType, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusInt32, DBusObjectPath, DBusSignature, DBusStr
from dbus_fast.errors import DBusFastError
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal
from pystray import Menu, _base

from tray_app.adapters.platform.bus_owner import owner_change, owner_rule
from tray_app.adapters.platform.desktop_session import BUS, WATCHER
from tray_app.base.log import LOG
from tray_app.core.ports import MenuEntry
from tray_app.interfaces.tray.dbus_menu import MENU_PATH, DBusMenu

ITEM_PATH: Final = "/StatusNotifierItem"
PANEL_SECONDS: Final = 10.0
"""Seconds; a panel or bus that has not replied by then counts as absent."""
BUS_PAUSE_SECONDS = 30.0
"""Seconds between attempts to reconnect to a lost bus, whose return is not signalled."""

Pixmaps = Annotated[list[list[Any]], DBusSignature("a(iiay)")]
ToolTip = Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]


class Icon(_base.Icon):  # type: ignore[misc]  # pystray ships no types
    """pystray's icon. `icon` is a `look.Lamp`: anything with `pixmaps` of several sizes."""

    HAS_MENU_RADIO = False
    HAS_NOTIFICATION = False

    def __init__(self, name: str, bus_address: str) -> None:
        super().__init__(name)
        self._bus_address = bus_address
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bus: MessageBus | None = None
        self._stopped = asyncio.Event()
        self._item = _Item(self)
        self.opening: Callable[[], None] = lambda: None
        """Called in the loop when a panel is about to open the menu."""
        self._menu_on_bus = DBusMenu(lambda: self.opening())  # noqa: PLW0108 - the tray sets it later

    # What pystray asks of a backend. All but _run may be called from any thread.

    def _run(self) -> None:
        asyncio.run(self._serve())

    def _show(self) -> None:
        """Returns once a panel has the icon, or there is none for now."""
        self._visible = True  # before the panel reads it
        if self._loop is None:
            return
        registered = asyncio.run_coroutine_threadsafe(self._register(), self._loop)
        with contextlib.suppress(concurrent.futures.CancelledError):  # stopped meanwhile
            registered.result()

    def _hide(self) -> None:
        self._post(lambda: self._item.new_status("Passive"))

    def _update_icon(self) -> None:
        _ = self.icon.pixmaps  # unpacked here, not in the loop
        self._icon_valid = True
        self._post(self._item.new_icon)

    def _update_title(self) -> None:
        self._post(self._item.new_title)
        self._post(self._item.new_tool_tip)

    def _update_menu(self) -> None:
        entries = self._entries(self.menu)
        self._post(lambda: self._menu_on_bus.show(entries))

    def stop(self) -> None:
        """Does not wait for the set-up thread as pystray does: that one may be waiting for this loop."""
        if self._running:
            self._stop()

    def _stop(self) -> None:
        self._post(self._stopped.set)

    def _entries(self, menu: Menu | None) -> Sequence[MenuEntry | None]:
        return [
            None
            if item is Menu.SEPARATOR
            else MenuEntry(
                text=item.text,
                act=None if item.submenu else functools.partial(item, self),
                enabled=item.enabled,
                ticked=item.checked,
                below=self._entries(item.submenu),
            )
            for item in menu or ()
        ]

    def _post(self, work: Callable[[], object]) -> None:
        """Does the work in the loop; nothing where there is no loop yet or no more: what is shown is asked for anew."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            if self._loop is not None:
                self._loop.call_soon_threadsafe(work)

    # The loop of the icon, in the thread that called run().

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        error = await self._connect()
        if error is not None:
            LOG.warning("tray: the session bus cannot be used (%r). The lamp appears when it can.", error)
        self._mark_ready()
        staying = asyncio.create_task(self._stay_on_bus())
        await self._stopped.wait()
        staying.cancel()
        if self._bus is not None:
            self._bus.disconnect()

    async def _connect(self) -> Exception | None:
        """Puts the icon on the session bus. Returns why there is none to put it on."""
        bus = MessageBus(bus_address=self._bus_address, bus_type=BusType.SESSION)
        rule = owner_rule(WATCHER)
        try:
            async with asyncio.timeout(PANEL_SECONDS):
                await bus.connect()
                bus.export(ITEM_PATH, self._item)
                bus.export(MENU_PATH, self._menu_on_bus)
                bus.add_message_handler(self._heard)
                await asyncio.gather(
                    bus.request_name(self._name_on_bus),
                    bus.call(Message(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", signature="s", body=[rule])),
                )
            self._bus = bus
        except (OSError, EOFError, DBusFastError) as error:
            return error
        finally:
            if self._bus is not bus and bus.connected:
                bus.disconnect()
        return None

    async def _stay_on_bus(self) -> None:
        """Goes back to the bus when it went: it died, or one desktop session ended and the next has begun."""
        while True:
            if self._bus is not None:
                lost: Awaitable[None] = self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # dbus-fast's
                [reason] = await asyncio.gather(lost, return_exceptions=True)
                LOG.warning("tray: the session bus has gone (%r). The lamp is back when it is.", reason)
                self._bus = None
            await asyncio.sleep(BUS_PAUSE_SECONDS)
            if await self._connect() is None:
                LOG.info("tray: the session bus is back")
                if self.visible:
                    await self._register()

    @property
    def _name_on_bus(self) -> str:
        return f"org.kde.StatusNotifierItem-{os.getpid()}-1"

    async def _register(self) -> None:
        """Registers the icon with the panel, only once it has pixels: waybar logs an error for icons without."""
        if self._bus is None or not self._bus.connected:
            return
        call = Message(
            WATCHER,
            "/StatusNotifierWatcher",
            WATCHER,
            "RegisterStatusNotifierItem",
            signature="s",
            body=[self._name_on_bus],
            flags=MessageFlag.NO_AUTOSTART,
        )
        answer = None
        with contextlib.suppress(OSError, EOFError):  # no answer in time (TimeoutError is an OSError), or no bus
            async with asyncio.timeout(PANEL_SECONDS):
                answer = await self._bus.call(call)
        if answer is None or answer.message_type is MessageType.ERROR:
            LOG.info("tray: no panel takes icons yet; the lamp appears when one does")

    def _heard(self, message: Message) -> None:
        change = owner_change(message)
        if change is not None and change[0] == WATCHER and change[1] and self.visible:
            self._registering = asyncio.ensure_future(self._register())


class _Item(ServiceInterface):
    """org.kde.StatusNotifierItem. Everything is read from the icon when a panel asks for it."""

    def __init__(self, icon: Icon) -> None:
        super().__init__("org.kde.StatusNotifierItem")
        self._icon = icon

    @dbus_method(name="Activate")
    def activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        self._icon()

    @dbus_method(name="SecondaryActivate")
    def secondary_activate(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """A middle click does nothing."""

    @dbus_method(name="ContextMenu")
    def context_menu(self, _x: DBusInt32, _y: DBusInt32) -> None:
        """The panel draws the menu itself."""

    @dbus_method(name="Scroll")
    def scroll(self, _delta: DBusInt32, _orientation: DBusStr) -> None:
        """Scrolling does nothing."""

    @dbus_property(PropertyAccess.READ, name="Category")
    def category(self) -> DBusStr:
        return "ApplicationStatus"

    @dbus_property(PropertyAccess.READ, name="Id")
    def id(self) -> DBusStr:
        return str(self._icon.name)

    @dbus_property(PropertyAccess.READ, name="Title")
    def title(self) -> DBusStr:
        return str(self._icon.title)

    @dbus_property(PropertyAccess.READ, name="Status")
    def status(self) -> DBusStr:
        return "Active" if self._icon.visible else "Passive"

    @dbus_property(PropertyAccess.READ, name="WindowId")
    def window_id(self) -> DBusInt32:
        return 0

    @dbus_property(PropertyAccess.READ, name="IconPixmap")
    def icon_pixmap(self) -> Pixmaps:
        return self._icon.icon.pixmaps if self._icon.icon else []

    @dbus_property(PropertyAccess.READ, name="ToolTip")
    def tool_tip(self) -> ToolTip:
        return ["", [], str(self._icon.title), ""]

    @dbus_property(PropertyAccess.READ, name="ItemIsMenu")
    def item_is_menu(self) -> DBusBool:
        return False

    @dbus_property(PropertyAccess.READ, name="Menu")
    def menu(self) -> DBusObjectPath:
        return MENU_PATH

    # Empty, but lxqt-panel logs an error for each one that is missing.

    @dbus_property(PropertyAccess.READ, name="IconName")
    def icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="IconThemePath")
    def icon_theme_path(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="OverlayIconName")
    def overlay_icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="OverlayIconPixmap")
    def overlay_icon_pixmap(self) -> Pixmaps:
        return []

    @dbus_property(PropertyAccess.READ, name="AttentionIconName")
    def attention_icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="AttentionIconPixmap")
    def attention_icon_pixmap(self) -> Pixmaps:
        return []

    @dbus_property(PropertyAccess.READ, name="AttentionMovieName")
    def attention_movie_name(self) -> DBusStr:
        return ""

    @dbus_signal(name="NewIcon")
    def new_icon(self) -> None:
        pass

    @dbus_signal(name="NewTitle")
    def new_title(self) -> None:
        pass

    @dbus_signal(name="NewToolTip")
    def new_tool_tip(self) -> None:
        pass

    @dbus_signal(name="NewStatus")
    def new_status(self, status: str) -> DBusStr:
        return status
