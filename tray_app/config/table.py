"""A table of `config.toml` that names a mistake in it: file, line, account, key, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tray_app.core.urls import check_endpoint_url
from tray_app.errors import Misconfigured

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Table:
    """A table of the file with what is needed to name a mistake in it."""

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
    """The line of the key in the table `path`, as far as it is written plainly; else that of the table."""
    here, header_line = "", None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$", line)
        if header:
            here = re.sub(r"\s*\.\s*|[\"']", lambda found: "." if "." in found[0] else "", header[1])
            if here == path or (key and here == f"{path}.{key}".lstrip(".")):
                header_line = header_line if here == path and header_line else number
                if key and here != path:
                    return number
        elif key and here == path and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return number
        elif key and f"{here}.authorization_parameters" == path and key in line:
            return number  # an inline table
    return header_line
