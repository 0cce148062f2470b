"""Updates the catalogs in tray_app/base/locale from the code: `.venv/bin/python packaging/languages.py`.

What is new stands in each .po with an empty translation: fill it in and run this again, which compiles the .mo that the
program reads. `... packaging/languages.py fr` begins another language.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "tray_app"
LOCALE = PACKAGE / "base/locale"
MARKS = {"msg", "_"}
NO_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""Catalogs tell no time of day: two people who change them would only clash over it."""


def source() -> Catalog:
    """All that the code says."""
    found = Catalog(project="Lamplighter", domain="lamplighter", creation_date=NO_TIME, charset="utf-8")
    for path in sorted(PACKAGE.rglob("*.py")):
        for message in templates(path.read_text("utf-8")):
            found.add(message, locations=[(path.relative_to(PACKAGE).as_posix(), 0)])
    return found


def templates(code: str) -> Iterator[str]:
    """What the code marks. (Babel's own search sees nothing within f-strings before Python 3.12.)"""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS and node.args:
            text = node.args[0]
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value


def updated(po: Path) -> Catalog:
    """The language's catalog: what is still said with its translation, what is new without."""
    language = po.parents[1].name
    catalog = Catalog(locale=language)
    if po.exists():
        with po.open("rb") as file:
            catalog = read_po(file, locale=language)
    catalog.update(source(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.fuzzy = False
    catalog.header_comment = "# Written by packaging/languages.py; the translations are yours."
    catalog.creation_date = catalog.revision_date = NO_TIME
    catalog.last_translator = catalog.language_team = "Lamplighter"
    return catalog


def main() -> int:
    """Updates and compiles every language, and those that are named; the number of missing translations."""
    missing = 0
    for language in sorted({folder.name for folder in LOCALE.iterdir()} | set(sys.argv[1:])):
        po = LOCALE / language / "LC_MESSAGES" / "lamplighter.po"
        po.parent.mkdir(parents=True, exist_ok=True)
        catalog = updated(po)
        with po.open("wb") as file:
            write_po(file, catalog, width=120, sort_output=True, include_lineno=False)
        with po.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalog)
        lacking = [message.id for message in catalog if message.id and not message.string]
        for one in lacking:
            print(f"{language}: not translated: {one}")
        missing += len(lacking)
    return min(missing, 1)


if __name__ == "__main__":
    sys.exit(main())
