"""What every tray keeps to, and what ours over StatusNotifierItem says on the bus to a panel."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageType, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

from tests.desktop.panel_session import PanelSession
from tests.fakes.waiting import until
from tray_app.adapters.platform.desktop_session import WATCHER, Session, find_session
from tray_app.core.health import Health
from tray_app.core.ports import MenuEntry, Tray, TrayView
from tray_app.interfaces.tray.backend import NoTray, make_tray
from tray_app.interfaces.tray.icon import shortened
from tray_app.interfaces.tray.icon_set import COLOUR

ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"


class Running:
    """A tray in a thread of its own."""

    def __init__(self, tray: Tray) -> None:
        self.tray = tray
        self.ready: list[threading.Thread] = []
        self.is_ready = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.tray.run(self._ready)
        except BaseException as error:  # noqa: BLE001 - told by the fixture
            self.error = error

    def _ready(self) -> None:
        self.ready.append(threading.current_thread())
        self.is_ready.set()

    def start(self) -> Running:
        self.thread.start()
        return self

    def stop(self) -> None:
        self.tray.stop()
        self.thread.join(10)
        assert not self.thread.is_alive(), "run() did not return"
        if self.error:
            raise self.error


class Panel:
    """A panel on the bus: owns the watcher's name, keeps what registers, and asks as panels do."""

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.registered: list[str] = []
        self.signals: list[tuple[str, list[Any]]] = []
        bus.add_message_handler(self._heard)

    def _heard(self, message: Message) -> Message | None:
        if message.message_type is MessageType.METHOD_CALL and message.member == "RegisterStatusNotifierItem":
            self.registered.append(message.body[0])
            return Message.new_method_return(message)
        if message.message_type is MessageType.SIGNAL and message.interface in {ITEM, MENU}:
            self.signals.append((str(message.member), message.body))
        return None

    async def take_name(self) -> None:
        assert await self.bus.request_name(WATCHER) is RequestNameReply.PRIMARY_OWNER

    async def listen(self) -> None:
        for interface in (ITEM, MENU):
            rule = f"type='signal',interface='{interface}'"
            await self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "AddMatch", "s", [rule])

    async def call(self, interface: str, path: str, member: str, signature: str = "", body: Any = ()) -> list[Any]:
        to = interface if interface == "org.freedesktop.DBus" else self.registered[-1]
        answer = await self.bus.call(Message(to, path, interface, member, signature=signature, body=list(body)))
        assert answer is not None
        if answer.message_type is MessageType.ERROR:
            raise LookupError(answer.error_name)
        return answer.body

    async def property(self, name: str) -> Any:
        get = "org.freedesktop.DBus.Properties", "/StatusNotifierItem", "Get", "ss", [ITEM, name]
        return (await self.call(*get))[0].value

    async def menu(self, member: str, signature: str = "", body: Any = ()) -> list[Any]:
        return await self.call(MENU, "/MenuBar", member, signature, body)

    async def layout(self, parent: int = 0, depth: int = -1) -> list[Any]:
        return (await self.menu("GetLayout", "iias", [parent, depth, []]))[1]

    async def lines(self) -> dict[str, int]:
        """The id of each line by its label, submenus included."""

        def walk(node: list[Any]) -> Iterator[tuple[str, int]]:
            of, properties, below = node
            if "label" in properties:
                yield properties["label"].value, of
            for one in below:
                yield from walk(one.value)

        return dict(walk(await self.layout()))

    async def click(self, label: str) -> None:
        await self.menu("Event", "isvu", [(await self.lines())[label], "clicked", Variant("s", ""), 0])

    def heard(self, member: str) -> list[list[Any]]:
        return [body for name, body in self.signals if name == member]


@pytest.fixture
def desktop() -> Iterator[PanelSession]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("not installed: dbus-daemon")
    folder = Path(tempfile.mkdtemp(prefix="bus-"))
    session = PanelSession(folder)
    try:
        session.start_bus()
        yield session
    finally:
        session.close()
        shutil.rmtree(folder)


@pytest.fixture
def session(desktop: PanelSession) -> Session:
    address = desktop.env["DBUS_SESSION_BUS_ADDRESS"]
    return Session("linux", has_display=False, has_session_bus=True, tray="status-notifier", bus_address=address)


@pytest.fixture(params=["status notifier", "no tray"])
def tray(request: pytest.FixtureRequest) -> Tray:
    return NoTray() if request.param == "no tray" else make_tray(request.getfixturevalue("session"))


@pytest.fixture
async def panel(session: Session) -> AsyncIterator[Panel]:
    bus = await MessageBus(bus_address=session.bus_address, bus_type=BusType.SESSION).connect()
    yield Panel(bus)
    bus.disconnect()
    with contextlib.suppress(EOFError, OSError):  # a test may have ended the bus
        await bus.wait_for_disconnect()


@pytest.fixture
async def icon(session: Session, panel: Panel) -> AsyncIterator[Running]:
    """Our icon, taken by the panel."""
    await panel.take_name()
    await panel.listen()
    running = Running(make_tray(session)).start()
    await until(running.is_ready.is_set)
    await panel.property("Title")  # what it said before has come by now
    panel.signals.clear()
    yield running
    running.stop()


# Every tray.


async def test_it_is_ready_once_and_not_in_the_thread_of_the_tray(tray: Tray) -> None:
    running = Running(tray).start()
    await until(running.is_ready.is_set)
    tray.show(TrayView(health=Health.FRESH))
    running.stop()

    assert len(running.ready) == 1
    assert running.ready[0] is not running.thread


async def test_it_is_told_what_to_show_before_during_and_after_its_run(tray: Tray) -> None:
    view = TrayView(health=Health.ENDING, tooltip="Zürich 🏮", menu=[MenuEntry("Quit", tray.stop), None])

    tray.show(view)
    running = Running(tray).start()
    await until(running.is_ready.is_set)
    tray.show(view)
    running.stop()
    tray.show(view)

    assert not running.thread.is_alive()


async def test_a_stop_before_its_run_ends_the_run(tray: Tray) -> None:
    tray.stop()

    running = Running(tray).start()

    await until(lambda: not running.thread.is_alive())
    assert running.error is None


async def test_a_second_stop_is_no_error(tray: Tray) -> None:
    running = Running(tray).start()
    await until(running.is_ready.is_set)

    running.stop()
    running.stop()


async def test_a_platform_without_balloons_says_so(tray: Tray) -> None:
    assert tray.balloon("Welcome", "to Lamplighter") is False


# Ours over StatusNotifierItem.


async def test_the_panel_gets_the_lamp_in_all_sizes_with_its_words(icon: Running, panel: Panel) -> None:
    icon.tray.show(TrayView(health=Health.RETRYING, tooltip="work: retrying"))
    await until(lambda: panel.heard("NewIcon") and panel.heard("NewToolTip"))

    pixmaps = await panel.property("IconPixmap")
    assert [width for width, _, _ in pixmaps] == [16, 22, 24, 32, 48, 64]
    assert tuple(pixmaps[0][2][(8 * 16 + 8) * 4 :][:4]) == (255, *COLOUR[Health.RETRYING])
    assert await panel.property("Title") == "work: retrying"
    assert (await panel.property("ToolTip"))[2] == "work: retrying"
    assert await panel.property("Status") == "Active"
    assert await panel.property("Id") == "lamplighter"


async def test_the_same_look_again_is_not_drawn_again(icon: Running, panel: Panel) -> None:
    icon.tray.show(TrayView(health=Health.FRESH))
    await until(lambda: panel.heard("NewIcon"))
    icon.tray.show(TrayView(health=Health.FRESH, tooltip="46 min left"))
    await until(lambda: panel.heard("NewTitle"))

    assert len(panel.heard("NewIcon")) == 1


async def test_every_property_that_hosts_ask_for_is_there(icon: Running, panel: Panel) -> None:
    got = await panel.call("org.freedesktop.DBus.Properties", "/StatusNotifierItem", "GetAll", "s", [ITEM])

    assert {"Category", "Menu", "ItemIsMenu", "OverlayIconPixmap", "AttentionIconName"} <= got[0].keys()
    assert got[0]["Menu"].value == "/MenuBar"


async def test_a_left_click_does_the_default_entry(icon: Running, panel: Panel) -> None:
    done = threading.Event()
    icon.tray.show(TrayView(menu=[MenuEntry("Quit", icon.tray.stop), MenuEntry("Sign In", done.set, default=True)]))
    await until(lambda: panel.heard("LayoutUpdated"))

    await panel.call(ITEM, "/StatusNotifierItem", "Activate", "ii", [0, 0])

    await until(done.is_set)


async def test_an_entry_of_a_submenu_is_done_outside_the_trays_thread_and_may_take_its_time(
    icon: Running, panel: Panel
) -> None:
    where: list[threading.Thread] = []
    go_on = threading.Event()

    def slow() -> None:
        where.append(threading.current_thread())
        go_on.wait(20)
        where.append(threading.current_thread())

    icon.tray.show(TrayView(menu=[MenuEntry("my_account", below=[MenuEntry("Refresh Now", slow)])]))
    await until(lambda: panel.heard("LayoutUpdated"))

    await panel.click("Refresh Now")
    await until(lambda: where)

    assert "my__account" in await panel.lines()  # the tray still answers
    go_on.set()
    await until(lambda: len(where) == 2)
    assert icon.thread not in where


async def test_an_entry_that_fails_does_not_stop_the_next(icon: Running, panel: Panel) -> None:
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError

    icon.tray.show(TrayView(menu=[MenuEntry("Fail", fail), MenuEntry("Work", done.set)]))
    await until(lambda: panel.heard("LayoutUpdated"))

    await panel.click("Fail")
    await panel.click("Work")

    await until(done.is_set)


async def test_a_line_without_an_act_is_grey_and_ticks_and_separators_are_told(icon: Running, panel: Panel) -> None:
    icon.tray.show(
        TrayView(menu=[MenuEntry("only words"), None, MenuEntry("Start at Login", icon.tray.stop, ticked=False)])
    )
    await until(lambda: panel.heard("LayoutUpdated"))

    lines = [{name: value.value for name, value in one.value[1].items()} for one in (await panel.layout())[2]]

    assert lines == [
        {"label": "only words", "enabled": False},
        {"type": "separator"},
        {"label": "Start at Login", "enabled": True, "toggle-type": "checkmark", "toggle-state": 0},
    ]


async def test_new_words_are_told_without_a_new_layout(icon: Running, panel: Panel) -> None:
    def view(words: str) -> TrayView:
        return TrayView(menu=[MenuEntry(words, below=[MenuEntry("Sign In", icon.tray.stop)])])

    icon.tray.show(view("work: 47 min left"))
    await until(lambda: panel.heard("LayoutUpdated"))
    before = await panel.lines()
    panel.signals.clear()

    icon.tray.show(view("work: 46 min left"))
    await until(lambda: panel.heard("ItemsPropertiesUpdated"))

    [[of, properties]], gone = panel.heard("ItemsPropertiesUpdated")[0]
    assert (of, properties["label"].value, gone) == (before["work: 47 min left"], "work: 46 min left", [])
    assert not panel.heard("LayoutUpdated")
    assert (await panel.lines())["Sign In"] == before["Sign In"]


async def test_the_times_left_are_renewed_as_the_menu_opens_and_not_before(icon: Running, panel: Panel) -> None:
    minutes = itertools.count(46, -1)

    def view(words: str) -> TrayView:
        return TrayView(
            menu=[MenuEntry(words, icon.tray.stop)], renewed=lambda: view(f"work: {next(minutes)} min left")
        )

    icon.tray.show(view("work: 47 min left"))
    await until(lambda: panel.heard("LayoutUpdated"))
    before = await panel.lines()
    await panel.menu("AboutToShow", "i", [0])
    await until(lambda: panel.heard("ItemsPropertiesUpdated"))

    assert "work: 47 min left" in before
    assert "work: 46 min left" in await panel.lines()


async def test_a_new_line_is_told_with_its_parent_and_a_higher_revision(icon: Running, panel: Panel) -> None:
    def view(*below: str) -> TrayView:
        return TrayView(menu=[MenuEntry("work", below=[MenuEntry(one, icon.tray.stop) for one in below])])

    icon.tray.show(view("Sign In"))
    await until(lambda: panel.heard("LayoutUpdated"))
    work = (await panel.lines())["work"]
    [[first, _]] = panel.heard("LayoutUpdated")

    icon.tray.show(view("Sign In", "Sign Out"))
    await until(lambda: len(panel.heard("LayoutUpdated")) == 2)

    second, parent = panel.heard("LayoutUpdated")[1]
    assert second > first
    assert parent == work
    assert (await panel.menu("GetLayout", "iias", [work, -1, []]))[0] == second


async def test_the_rest_of_the_menus_protocol(icon: Running, panel: Panel) -> None:
    icon.tray.show(TrayView(menu=[MenuEntry("work", below=[MenuEntry("Sign In", icon.tray.stop)])]))
    await until(lambda: panel.heard("LayoutUpdated"))
    work = (await panel.lines())["work"]

    assert (await panel.layout(depth=0))[2] == []
    assert [one.value[2] for one in (await panel.layout(depth=1))[2]] == [[]]
    assert (await panel.menu("GetProperty", "is", [work, "label"]))[0].value == "work"
    assert (await panel.menu("AboutToShow", "i", [0])) == [False]
    assert (await panel.menu("AboutToShowGroup", "ai", [[work, 999]])) == [[], [999]]
    assert (await panel.menu("EventGroup", "a(isvu)", [[[999, "clicked", Variant("s", ""), 0]]])) == [[999]]
    asked = (await panel.menu("GetGroupProperties", "aias", [[work, 999], ["label"]]))[0]
    assert [(of, list(properties)) for of, properties in asked] == [(work, ["label"])]
    for member, signature, body in (("GetLayout", "iias", [999, -1, []]), ("GetProperty", "is", [999, "label"])):
        with pytest.raises(LookupError, match="InvalidArgs"):
            await panel.menu(member, signature, body)


async def test_started_before_the_panel_it_is_ready_at_once_and_registers_when_the_panel_comes(
    session: Session, panel: Panel
) -> None:
    running = Running(make_tray(session)).start()
    await until(running.is_ready.is_set)
    assert not panel.registered

    await panel.take_name()

    await until(lambda: panel.registered)
    running.stop()


async def test_it_registers_again_with_every_new_panel(icon: Running, panel: Panel) -> None:
    await panel.bus.release_name(WATCHER)
    await panel.take_name()

    await until(lambda: len(panel.registered) == 2)


async def test_the_end_of_the_session_bus_does_not_end_the_process(
    session: Session, desktop: PanelSession, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(make_tray(session)).start()
    await until(running.is_ready.is_set)

    desktop.close()

    await until(lambda: "session bus has gone" in caplog.text)
    running.tray.show(TrayView(health=Health.EXPIRED, menu=[MenuEntry("Quit", running.tray.stop)]))
    assert running.thread.is_alive()
    running.stop()


async def test_it_is_on_the_next_session_bus_too(
    icon: Running,
    session: Session,
    desktop: PanelSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("tray_app.interfaces.tray.status_notifier.BUS_PAUSE_SECONDS", 0.05)
    for losses in (1, 2):
        desktop.close()
        await until(lambda: caplog.text.count("session bus has gone") == losses)  # noqa: B023 - waited for here
        desktop.start_bus()
        bus = await MessageBus(bus_address=session.bus_address, bus_type=BusType.SESSION).connect()
        panel = Panel(bus)
        await panel.take_name()

        await until(lambda: panel.registered)  # noqa: B023
        assert await panel.property("Id") == "lamplighter"
        assert (await panel.layout())[0] == 0
        bus.disconnect()
    assert caplog.text.count("session bus is back") == 2


async def test_without_any_bus_it_waits_for_its_stop(session: Session, desktop: PanelSession) -> None:
    desktop.close()
    running = Running(make_tray(session)).start()

    await until(running.is_ready.is_set)

    assert running.thread.is_alive()
    running.stop()


# Which tray a session has.


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_no_display_and_no_bus_is_no_desktop_and_each_no_has_its_reason(environment: pytest.MonkeyPatch) -> None:
    session = find_session()

    assert (session.has_display, session.has_session_bus, session.tray) == (False, False, "no")
    assert set(session.reasons) == {"display", "session bus", "tray"}
    assert isinstance(make_tray(session), NoTray)


def test_a_bus_that_is_not_there_is_told(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/gone")

    session = find_session()

    assert not session.has_session_bus
    assert "does not answer" in session.reasons["session bus"]


def test_a_bus_without_a_panel_has_a_tray_that_may_still_come(
    environment: pytest.MonkeyPatch, desktop: PanelSession
) -> None:
    environment.setenv("XDG_RUNTIME_DIR", desktop.env["XDG_RUNTIME_DIR"])  # where systemd has it, named nowhere else

    session = find_session()

    assert (session.has_session_bus, session.tray) == (True, "none-yet")
    assert WATCHER in session.reasons["tray"]


@pytest.mark.parametrize(("text", "units"), [("a" * 300, 127), ("🏮" * 100, 126), ("short", 5)])
def test_titles_fit_windows_and_no_character_is_cut_in_half(text: str, units: int) -> None:
    short = shortened(text, 127)

    assert len(short.encode("utf-16-le")) == 2 * units
    assert text.startswith(short)
