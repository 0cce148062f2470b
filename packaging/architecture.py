"""Draws the imports between the parts of `tray_app` into `.github/ARCHITECTURE.md`; with `--check` only says whether
the drawing is up to date (exit code 1 where it is not).

A part is an entry of `tray_app`, or of `interfaces` and `adapters`. Every import counts, wherever it stands in a file,
except those for type checkers alone.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / ".github/ARCHITECTURE.md"
BEGIN, END = "<!-- drawing: python packaging/architecture.py -->\n", "<!-- end of drawing -->"
SPLIT = {"interfaces", "adapters"}
"""Folders whose entries are drawn one by one."""
OMITTED = {"base", "core"}
"""Used by nearly every part: arrows to them would hide all others."""


def main() -> int:
    """Draws, or checks. Returns the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    drawn = with_drawing(text, drawing(edges(ROOT / "tray_app")))
    if "--check" in sys.argv[1:]:
        print("up to date" if drawn == text else "out of date: python packaging/architecture.py")
        return int(drawn != text)
    PAGE.write_text(drawn, encoding="utf-8")
    return 0


def edges(package: Path) -> set[tuple[str, str]]:
    """Which part imports which, without the parts in `OMITTED`."""
    found = set()
    for path in package.rglob("*.py"):
        module = (package.name, *path.relative_to(package).with_suffix("").parts)
        source = part_of(module, package)
        for target in imported(ast.parse(path.read_text(encoding="utf-8"))):
            to = part_of(tuple(target.split(".")), package)
            if source and to and source != to and not {source, to} & OMITTED:
                found.add((source, to))
    return found


def part_of(module: tuple[str, ...], package: Path) -> str | None:
    """The part of a module, such as `adapters.oauth`; None for what is not of the package, or is the package itself."""
    if module[0] != package.name or len(module) < 2 or module[1].startswith("_"):
        return None
    if module[1] not in SPLIT:
        return module[1]
    folder = package / module[1]
    is_part = len(module) > 2 and ((folder / module[2]).is_dir() or (folder / f"{module[2]}.py").is_file())
    return ".".join(module[1:3]) if is_part else None


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a file imports when it runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imported(ast.Module(node.orelse, []))
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        else:
            yield from imported(node)


def drawing(found: set[tuple[str, str]]) -> str:
    """The edges as a Mermaid graph: one box per folder in `SPLIT`, one line per importing part."""
    names = sorted({name for edge in found for name in edge})
    lines = ["```mermaid", "graph TD"]
    for folder in sorted(SPLIT):
        lines += [f"  subgraph {folder}"]
        lines += [f"    {name}[{name.partition('.')[2]}]" for name in names if name.startswith(f"{folder}.")]
        lines += ["  end"]
    for source, group in groupby(sorted(found), key=lambda edge: edge[0]):
        lines.append(f"  {source} --> {' & '.join(to for _, to in group)}")
    return "\n".join([*lines, "```", ""])


def with_drawing(text: str, new: str) -> str:
    """The page with what is between its two markers replaced. Raises ValueError where one is missing."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + new + END + after


if __name__ == "__main__":
    sys.exit(main())
