"""For whom the agent's pipe is, by what Windows says of it. Wine keeps owners and lists, but lets everybody in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("only on Windows", allow_module_level=True)

import ctypes
from asyncio.windows_events import PipeServer
from asyncio.windows_utils import PipeHandle
from ctypes import wintypes

from tests.contract.test_agent import Place
from tray_app.base.paths import places, places_in
from tray_app.base.socket_path import SOCKET_VARIABLE
from tray_app.core.errors import LamplighterError, NoApplet
from tray_app.interfaces.agent import windows_pipe_security as pipe_owner
from tray_app.interfaces.agent.client import AgentClient
from tray_app.interfaces.agent.fast_token import fetched
from tray_app.interfaces.agent.windows_pipe_client import connected
from tray_app.interfaces.agent.windows_pipe_security import own_sid
from tray_app.interfaces.agent.windows_pipe_server import BoundPipe

SE_KERNEL_OBJECT, OWNER, LIST = 6, 1, 4


def described(handle: int) -> str:
    """Owner and access control list of what the handle is of, as SDDL."""
    advapi32, descriptor, text = ctypes.WinDLL("advapi32"), wintypes.LPVOID(), wintypes.LPWSTR()
    what = OWNER | LIST
    status = advapi32.GetSecurityInfo(
        wintypes.HANDLE(handle), SE_KERNEL_OBJECT, what, None, None, None, None, ctypes.byref(descriptor)
    )
    assert status == 0
    assert advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, 1, what, ctypes.byref(text), None)
    return str(text.value)


@pytest.fixture
def name(tmp_path: Path) -> Path:
    return places_in(tmp_path).socket


@pytest.fixture
def bound(name: Path) -> Iterator[BoundPipe]:
    one = BoundPipe(name)
    yield one
    one.close()


@pytest.fixture
async def squatted(name: Path) -> AsyncIterator[Path]:
    """A pipe of our name that somebody else was quicker to make."""
    [server] = await asyncio.get_running_loop().start_serving_pipe(asyncio.Protocol, str(name))  # type: ignore[attr-defined]  # asyncio's own, not documented
    assert isinstance(server, PipeServer)
    yield name
    server.close()


def test_the_pipe_is_this_user_s_own_and_for_nobody_else(bound: BoundPipe, name: Path) -> None:
    with connected(str(name), 5) as pipe:
        sddl = described(pipe.fileno())

    owner, _, entries = sddl.partition("D:")
    assert owner == f"O:{own_sid()}"
    assert entries.startswith("P(A;;"), "it inherits nothing, and allows"
    assert entries.endswith(f";;;{own_sid()})"), "this user"
    assert entries.count("(") == 1, "and nobody else"


def test_every_place_in_it_is_the_same(bound: BoundPipe) -> None:
    places = [bound.place() for _ in range(3)]
    try:
        assert len({described(place.handle) for place in places}) == 1
    finally:
        for place in places:
            PipeHandle.close(place)


async def test_a_name_that_somebody_has_taken_is_not_shared_with_them(squatted: Path) -> None:
    with pytest.raises(LamplighterError, match="another program answers"):
        BoundPipe(squatted)


async def test_what_another_user_has_made_is_told_nothing(squatted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_owner, "own_sid", lambda: "S-1-5-21-1-2-3-1001")  # it is then not ours that made it
    monkeypatch.setenv(SOCKET_VARIABLE, str(squatted))

    with pytest.raises(NoApplet, match="another user's program listens"):
        await asyncio.to_thread(AgentClient(squatted).ask, "GET", "/v1/status")
    with pytest.raises(NoApplet, match="another user's program listens"):
        await asyncio.to_thread(AgentClient(squatted).alive)
    assert await asyncio.to_thread(fetched, ["work"]) is None, "it leaves that to the full command"


@pytest.mark.parametrize("socket", [r"{tmp}\notes.txt", r"\\server\pipe\lamp", r"\\.\pipe\a\b", "\\\\.\\pipe\\"])
def test_what_is_no_pipe_of_this_machine_is_neither_asked_nor_made(
    socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    monkeypatch.setenv(SOCKET_VARIABLE, socket.format(tmp=tmp_path))

    assert fetched(["work"]) is None
    assert not AgentClient(places().socket).alive()
    with pytest.raises(LamplighterError, match="no name of a pipe"):
        BoundPipe(places().socket)
    assert notes.read_text() == "mine"


def test_a_pipe_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET_VARIABLE, r"\\.\pipe\lamplighter-of-my-own")
    place = Place(places())
    place.open()
    try:
        assert str(place.here.socket) == r"\\.\pipe\lamplighter-of-my-own"
        assert fetched(["work"]) == 0
    finally:
        place.close()
