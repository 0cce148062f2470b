"""Sentences that a person reads, with their template, so that they can be translated.

Whoever has something to say says it here, in English; the tray, the notifier and the pages translate it where it
is shown (`base/translation.py`). Everywhere else, in a log, in JSON, in the terminal, it is its English text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Self

_PLACE = re.compile(r"\{(\w+)\}")


class Message(str):
    """An English text that remembers its template and arguments. Slicing, + or an f-string make an ordinary string
    of it, which stays English.
    """

    __slots__ = ("arguments", "template")
    template: str
    arguments: Mapping[str, str]

    def __new__(cls, template: str, arguments: Mapping[str, str]) -> Self:
        self = super().__new__(cls, filled(template, arguments))
        self.template = template
        self.arguments = arguments
        return self


def msg(template: str, /, **arguments: object) -> Message:
    """The template, filled: `msg("{name}: signed in", name=name)`. Arguments may be messages themselves."""
    return Message(template, {name: _text(value) for name, value in arguments.items()})


def joined(separator: str, parts: Iterable[str]) -> Message:
    """The non-empty parts, joined; each can still be translated."""
    arguments = {f"_{number}": part for number, part in enumerate(part for part in parts if part)}
    return Message(separator.join(f"{{{name}}}" for name in arguments), arguments)


def filled(template: str, arguments: Mapping[str, str]) -> str:
    """The template with its placeholders filled; one without an argument stays as it is. Never raises."""
    return _PLACE.sub(lambda place: str(arguments.get(place[1], place[0])), template)


def to_json(text: str) -> Any:
    """The text as JSON values for `from_json`; an ordinary string stays a string."""
    if not isinstance(text, Message):
        return text
    return [text.template, {name: to_json(value) for name, value in text.arguments.items()}]


def from_json(value: object, deepest: int = 20) -> str | None:
    """The inverse of `to_json`; None for a value that it did not produce.

    Nested messages are read `deepest` levels down, since foreign input may nest without end.
    """
    match value:
        case str():
            return value
        case [str(template), dict(written)] if deepest:
            arguments = {str(name): from_json(one, deepest - 1) for name, one in written.items()}
            return Message(template, {name: one for name, one in arguments.items() if one is not None})
        case _:
            return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)
