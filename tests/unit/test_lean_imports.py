from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import pytest

from tray_app.base.lean_imports import lean_imports


def test_within_it_a_module_is_what_stands_in_for_it_and_afterwards_itself_again() -> None:
    given = SimpleNamespace()
    sys.modules.pop("colorsys", None)
    with lean_imports({"colorsys": given}):
        assert importlib.import_module("colorsys") is given

    assert importlib.import_module("colorsys") is not given


def test_none_is_a_module_that_is_not_installed_even_when_the_import_fails() -> None:
    sys.modules.pop("colorsys", None)
    with pytest.raises(ImportError), lean_imports({"colorsys": None}):
        importlib.import_module("colorsys")

    assert importlib.import_module("colorsys").__name__ == "colorsys"


def test_what_is_loaded_already_stays() -> None:
    with lean_imports({"sys": None}):
        assert importlib.import_module("sys") is sys

    assert sys.modules["sys"] is sys
