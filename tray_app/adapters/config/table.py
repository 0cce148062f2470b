"""A table of `config.toml` whose errors name file, line, account, key, and what would be valid."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tray_app.core.errors import Misconfigured
from tray_app.core.urls import check_endpoint_url

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NO_KEY = "no-key-of-ours"
_MOST_PLACES = 20


class Table:
    """A table of the file, with what its error messages need."""

    def __init__(self, values: Any, file: str, path: str, text: str) -> None:
        self._file, self._path, self._text = file, path, text
        self.values: dict[str, Any] = values

    def table(self, key: str) -> Table:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "is not a table", f"Write it as [{self._path + '.' if self._path else ''}{key}]")
        return Table(value, self._file, f"{self._path}.{key}".lstrip("."), self._text)

    def known(self, keys: tuple[str, ...]) -> None:
        for key in self.values:
            if key not in keys:
                import difflib

                near = difflib.get_close_matches(key, keys, 1, 0.6)
                remedy = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(keys)}"
                if key == "client_secret":
                    remedy = f"Take it out, and put it into the keyring: lamplighter secret set {self._path[9:]}"
                raise Misconfigured(f"{self._where(key)}: unknown key `{key}`", remedy)

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value or not value.isprintable():
            raise self.wrong(key, f"is {_kind(value)}, not a text", f'Write it in quotes: {key} = "..."')
        return value

    def texts(self, key: str, check: Callable[[str], str | None] = lambda _: None) -> tuple[str, ...]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, f"is {_kind(value)}, not a list of texts", f'Write it as {key} = ["...", "..."]')
        for item in value:
            if reason := check(item):
                raise self.wrong(key, f"has the entry `{item}`", f"Right would be: {reason}")
        return tuple(value)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(key) or default
        if value not in choices:
            raise self.wrong(key, f"is `{value}`", f"Choose one of: {', '.join(choices)}")
        return value

    def duration(self, key: str, default: timedelta) -> timedelta:
        value = self.values.get(key)
        if value is None:
            return default
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if not found or not int(found[1]) or int(found[1]) * _UNITS[found[2]] > 366 * 86400:
            raise self.wrong(key, "is not a length of time", f'Write it as {key} = "10s", "50m", "8h" or "1d"')
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])

    def url(self, key: str) -> str | None:
        value = self.text(key)
        if value is not None and (reason := check_endpoint_url(value)):
            raise self.wrong(
                key, f"is not an address that can be used: {reason}", "Use https, or http on this computer alone"
            )
        return value

    def wrong(self, key: str, what: str, remedy: str) -> Misconfigured:
        return Misconfigured(f"{self._where(key)}: `{key}` {what}", remedy)

    def lacking(self, key: str, remedy: str) -> Misconfigured:
        return Misconfigured(f"{self._where(None)}: `{key}` is missing", remedy)

    def _where(self, key: str | None) -> str:
        line = _line_of(self._text, self._path, key)
        return ", ".join(part for part in (self._file, f"line {line}" if line else "", self._path) if part)


def _kind(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
        str: "an odd text",
    }
    return names.get(type(value), "a date")


def _line_of(text: str, path: str, key: str | None) -> int | None:
    """The line of the key in the table `path`; the table's own line where that is unknown or there is no key.

    TOML has many ways to write a key, and the same word may stand in a text: the right place is the one without which
    the key is gone.
    """
    if key and (header := _header(text, f"{path}.{key}".lstrip("."))):
        return text.count("\n", 0, header.start()) + 1
    table = _header(text, path)
    begin, last = table.end() if table else 0, path.rpartition(".")[2]
    words = re.finditer(rf"(?<![\w-]){re.escape(key or last)}(?![\w-])", text) if key or not table else ()
    places = [(found.start() < begin, last not in _line_with(text, found.start()), *found.span()) for found in words]
    for _, _, start, end in sorted(places)[:_MOST_PLACES]:
        try:
            without = tomllib.loads(f"{text[:start]}{_NO_KEY}{text[end:]}")
        except (ValueError, RecursionError):
            continue
        if not _is_in(without, path, key):
            return text.count("\n", 0, start) + 1
    return text.count("\n", 0, table.start()) + 1 if table else None


def _header(text: str, path: str) -> re.Match[str] | None:
    """The table's header, in its usual spelling."""
    headers = re.finditer(r"^[ \t]*\[([^\[\]\n]+)\]", text, re.MULTILINE)
    return next((header for header in headers if re.sub(r"[\s\"']", "", header[1]) == path), None)


def _line_with(text: str, position: int) -> str:
    return text[text.rfind("\n", 0, position) + 1 :].partition("\n")[0]


def _is_in(table: dict[str, Any], path: str, key: str | None) -> bool:
    if not path:
        return key is None or key in table
    for name, value in table.items():  # which may have dots in it
        begins = path == name or path.startswith(f"{name}.")
        if begins and isinstance(value, dict) and _is_in(value, path[len(name) + 1 :], key):
            return True
    return False
