"""Imports libraries without the parts that are not used here, to save memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def lean_imports(modules: Mapping[str, object]) -> Iterator[None]:
    """Within it these modules import as given, None as if not installed; modules already loaded stay."""
    given = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(given)  # type: ignore[arg-type]  # Python takes any object, and None for "not to be had"
    try:
        yield
    finally:
        for name in given:
            sys.modules.pop(name, None)
