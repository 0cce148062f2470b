"""A home with a keyring, one without, and a provider, for tests of `lamplighter` as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import Lamplighter, Provider
from tests.keyring_session import KeyringSession, missing_part


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyringSession]:
    """A real keyring for all of them: each home has entries of its own."""
    if missing := missing_part():
        pytest.skip(f"{missing} is not installed")
    session = KeyringSession(tmp_path_factory.mktemp("keyring"))
    try:
        session.start()
        yield session
    finally:
        session.close()


@pytest.fixture
def lamplighter(keyring: KeyringSession, tmp_path: Path) -> Iterator[Lamplighter]:
    keyring.start_again_if_it_died()
    lamplighter = Lamplighter(tmp_path / "home", {**keyring.environment, "HOME": str(tmp_path)})
    try:
        yield lamplighter
    finally:
        lamplighter.close()


@pytest.fixture
def keyless(tmp_path: Path) -> Iterator[Lamplighter]:
    """Where there is no session bus, thus no keyring and no desktop."""
    lamplighter = Lamplighter(tmp_path / "home", {})
    try:
        yield lamplighter
    finally:
        lamplighter.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider
