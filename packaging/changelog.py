"""Reads the newest version's entry in CHANGELOG.md: number, date and lines. The packages take their date from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from setup_machine import ROOT

FILE = ROOT / "packaging/CHANGELOG.md"
_HEADING = re.compile(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$")


@dataclass(frozen=True)
class Release:
    """One version as the changelog tells it."""

    version: str
    date: datetime
    """Midnight UTC."""
    entries: tuple[str, ...]
    """What changed, a paragraph each, without its line breaks."""

    @property
    def epoch(self) -> int:
        """The date in seconds since 1970, as `SOURCE_DATE_EPOCH` has it (reproducible-builds.org)."""
        return int(self.date.timestamp())


def newest() -> Release:
    """The version on top. Exits where the file has none."""
    lines = iter(FILE.read_text(encoding="utf-8").splitlines())
    heading = next((found for line in lines if (found := _HEADING.match(line))), None)
    if heading is None:
        raise SystemExit(f"{FILE}: no heading such as `## 0.1.0 (2026-11-25)`")
    entries: list[str] = []
    for line in lines:
        if line.startswith("## "):
            break
        if line.startswith("- "):
            entries.append(line[2:])
        elif line.startswith("  ") and entries:
            entries[-1] += " " + line.strip()
    return Release(heading[1], datetime.fromisoformat(heading[2]).replace(tzinfo=UTC), tuple(entries))
