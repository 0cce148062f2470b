"""The menu over com.canonical.dbusmenu: the panel draws it, this module provides its entries and receives the clicks.

A line keeps its id for as long as the lines around it stay the same in number and kind. When only words, ticks or
greyness change, the panel is sent just those (ItemsPropertiesUpdated), so that a menu that is open does not collapse
each time a minute passes; when lines come or go, LayoutUpdated names the submenu to read again.
"""

# No postponed annotations here: dbus-fast reads them as signatures and stumbles over a postponed "None".

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from dbus_fast import DBusError, ErrorType, PropertyAccess, Variant
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr, DBusUInt32, DBusVariant
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from tray_app.core.ports import MenuEntry

MENU_PATH: Final = "/MenuBar"
ROOT: Final = 0

Properties = dict[str, Variant]
Int32s = Annotated[list[int], DBusSignature("ai")]
Strings = Annotated[list[str], DBusSignature("as")]
Layout = Annotated[list[Any], DBusSignature("u(ia{sv}av)")]
PropertiesOfLines = Annotated[list[Any], DBusSignature("a(ia{sv})")]
Changes = Annotated[list[Any], DBusSignature("a(ia{sv})a(ias)")]
Events = Annotated[list[Any], DBusSignature("a(isvu)")]
Ids = Annotated[list[list[int]], DBusSignature("aiai")]
Revision = Annotated[list[int], DBusSignature("ui")]


@dataclass(slots=True)
class Line:
    """One line as the panel knows it."""

    id: int
    properties: Properties
    act: Callable[[], None] | None
    below: list["Line"]

    def all(self) -> Iterator["Line"]:
        """The line itself and every one below it."""
        yield self
        for line in self.below:
            yield from line.all()


def _properties(entry: MenuEntry | None) -> Properties:
    if entry is None:
        return {"type": Variant("s", "separator")}
    found = {
        "label": Variant("s", entry.text.replace("_", "__")),  # a single underscore would mark an access key
        "enabled": Variant("b", entry.enabled),
    }
    if entry.ticked is not None:
        found["toggle-type"] = Variant("s", "checkmark")
        found["toggle-state"] = Variant("i", int(entry.ticked))
    if entry.below:
        found["children-display"] = Variant("s", "submenu")
    return found


class Menu:
    """The lines and their ids."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self.root = Line(ROOT, {"children-display": Variant("s", "submenu")}, None, [])
        self.lines = {ROOT: self.root}

    def replace(self, entries: Sequence[MenuEntry | None]) -> tuple[list[Line], list[int]]:
        """The lines that these entries change, and the ids of submenus where lines came or went."""
        changed: list[Line] = []
        relaid: list[int] = []
        self._replace_below(self.root, entries, changed, relaid)
        self.lines = {line.id: line for line in self.root.all()}
        return changed, relaid

    def _replace_below(
        self, parent: Line, entries: Sequence[MenuEntry | None], changed: list[Line], relaid: list[int]
    ) -> None:
        wanted = [(entry, _properties(entry)) for entry in entries]
        if [line.properties.keys() for line in parent.below] != [properties.keys() for _, properties in wanted]:
            parent.below = [self._line(entry) for entry in entries]
            relaid.append(parent.id)
            return
        for line, (entry, properties) in zip(parent.below, wanted, strict=True):
            if line.properties != properties:
                line.properties = properties
                changed.append(line)
            if entry is not None:
                line.act = entry.act
                self._replace_below(line, entry.below, changed, relaid)

    def _line(self, entry: MenuEntry | None) -> Line:
        below = [self._line(one) for one in entry.below] if entry else []
        return Line(next(self._ids), _properties(entry), entry.act if entry else None, below)


def _chosen(properties: Properties, names: Sequence[str]) -> Properties:
    return {name: value for name, value in properties.items() if not names or name in names}


def _layout(line: Line, depth: int, names: Sequence[str]) -> list[Any]:
    """The line as (id, properties, lines below), `depth` levels deep; -1 is all."""
    below = [Variant("(ia{sv}av)", _layout(one, depth - 1, names)) for one in line.below] if depth else []
    return [line.id, _chosen(line.properties, names), below]


class DBusMenu(ServiceInterface):
    """com.canonical.dbusmenu, version 3. Lives in the loop of its bus; `act` is called there and must not block."""

    def __init__(self, opening: Callable[[], None] = lambda: None) -> None:
        """`opening` is called in the loop when a panel is about to show the menu; its changes are sent after that."""
        super().__init__("com.canonical.dbusmenu")
        self._opening = opening
        self._menu = Menu()
        self._revision = 1

    def show(self, entries: Sequence[MenuEntry | None]) -> None:
        """Replaces the entries and signals the differences to the panel."""
        changed, relaid = self._menu.replace(entries)
        if changed:
            self.items_properties_updated([[line.id, line.properties] for line in changed])
        if relaid:
            self._revision += 1
        for parent in relaid:
            self.layout_updated(parent)

    def _line(self, of: int) -> Line:
        try:
            return self._menu.lines[of]
        except KeyError:
            raise DBusError(ErrorType.INVALID_ARGS, f"no line has the id {of}") from None

    def _happened(self, of: int, event: str) -> bool:
        """False for a line that no longer exists."""
        line = self._menu.lines.get(of)
        if line and line.act and event == "clicked":
            line.act()
        return line is not None

    @dbus_method(name="GetLayout")
    def get_layout(self, parent: DBusInt32, depth: DBusInt32, names: Strings) -> Layout:
        return [self._revision, _layout(self._line(parent), depth, names)]

    @dbus_method(name="GetGroupProperties")
    def get_group_properties(self, ids: Int32s, names: Strings) -> PropertiesOfLines:
        wanted = [self._menu.lines[one] for one in ids if one in self._menu.lines] if ids else self._menu.lines.values()
        return [[line.id, _chosen(line.properties, names)] for line in wanted]

    @dbus_method(name="GetProperty")
    def get_property(self, of: DBusInt32, name: DBusStr) -> DBusVariant:
        try:
            return self._line(of).properties[name]
        except KeyError:
            raise DBusError(ErrorType.INVALID_ARGS, f"line {of} has no property {name}") from None

    @dbus_method(name="Event")
    def event(self, of: DBusInt32, event: DBusStr, _details: DBusVariant, _timestamp: DBusUInt32) -> None:
        self._happened(of, event)

    @dbus_method(name="EventGroup")
    def event_group(self, events: Events) -> Int32s:
        return [of for of, event, *_ in events if not self._happened(of, event)]

    @dbus_method(name="AboutToShow")
    def about_to_show(self, of: DBusInt32) -> Annotated[bool, DBusSignature("b")]:
        if of == 0:
            self._opening()
        return False  # differences are sent as signals

    @dbus_method(name="AboutToShowGroup")
    def about_to_show_group(self, ids: Int32s) -> Ids:
        return [[], [one for one in ids if one not in self._menu.lines]]

    @dbus_property(PropertyAccess.READ, name="Version")
    def version(self) -> DBusUInt32:
        return 3

    @dbus_property(PropertyAccess.READ, name="TextDirection")
    def text_direction(self) -> DBusStr:
        return "ltr"

    @dbus_property(PropertyAccess.READ, name="Status")
    def status(self) -> DBusStr:
        return "normal"

    @dbus_property(PropertyAccess.READ, name="IconThemePath")
    def icon_theme_path(self) -> Strings:
        return []

    @dbus_signal(name="LayoutUpdated")
    def layout_updated(self, parent: int) -> Revision:
        return [self._revision, parent]

    @dbus_signal(name="ItemsPropertiesUpdated")
    def items_properties_updated(self, updated: list[Any]) -> Changes:
        return [updated, []]
