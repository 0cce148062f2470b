"""The drawing in .github/ARCHITECTURE.md: made from the imports, and up to date."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("architecture", ROOT / "packaging/architecture.py")
assert _spec is not None
assert _spec.loader is not None
architecture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(architecture)


def test_the_drawing_is_up_to_date() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")

    drawn = architecture.with_drawing(page, architecture.drawing(architecture.edges(ROOT / "tray_app")))

    assert drawn == page, "run: python packaging/architecture.py"


def test_every_file_and_folder_at_the_root_is_explained() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    here = {
        path.name for path in (ROOT / "tray_app").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    missing = {name for name in here - {"__init__.py", "_version.py"} if f"| `{name}" not in page}

    assert not missing


def test_the_files_that_the_page_names_exist() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    names = set(re.findall(r"`([\w/]+\.(?:py|toml))`", page)) - {"config.toml"}

    missing = {name for name in names if not any(ROOT.glob(name)) and not any((ROOT / "tray_app").rglob(name))}

    assert names
    assert not missing


def test_an_import_for_type_checkers_alone_is_not_drawn() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import one\nelse:\n    import two\ndef f():\n    from three import four\n")

    assert list(architecture.imported(tree)) == ["two", "three.four"]


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        architecture.with_drawing("no markers", "")
