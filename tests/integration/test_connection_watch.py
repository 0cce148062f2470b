"""Whether a connection's way is still there, asked of a real kernel whose addresses come and go."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tray_app.adapters.oauth.connection_watch import has_moved

OF_BEFORE = "192.0.2.77"
"""TEST-NET-1 (RFC 5737): nobody has it."""


@pytest.fixture
def address() -> Iterator[str]:
    """One that this computer has until the test takes it away."""
    ip = shutil.which("ip")
    if ip is None or subprocess.run((ip, "address", "add", f"{OF_BEFORE}/32", "dev", "lo"), check=False).returncode:
        pytest.skip("the addresses of this computer may not be changed")
    yield OF_BEFORE
    subprocess.run((ip, "address", "del", f"{OF_BEFORE}/32", "dev", "lo"), check=False, capture_output=True)


def test_a_connection_from_an_address_that_is_gone_has_moved(address: str) -> None:
    with socket.create_server((address, 0)) as server, socket.create_connection(server.getsockname()) as connection:
        ours = connection.getsockname()
        assert not has_moved(ours, ("127.0.0.1", 9))

        subprocess.run(("ip", "address", "del", f"{address}/32", "dev", "lo"), check=True)

        assert has_moved(ours, ("127.0.0.1", 9))


def test_an_address_of_ipv6_that_nobody_has_has_moved() -> None:
    assert has_moved(("2001:db8::1", 4711), ("::1", 9))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_connection_that_goes_on_has_not_moved(host: str) -> None:
    """With the addresses as httpx tells them."""
    seen: list[tuple[Any, Any]] = []

    async def trace(event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            stream = info["return_value"]
            seen.append((stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, host, 0)
    port = server.sockets[0].getsockname()[1]
    async with server, httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://{f'[{host}]' if ':' in host else host}:{port}/", extensions={"trace": trace})

    ((ours, theirs),) = seen
    assert ours[0] == host
    assert not has_moved(ours, theirs)
    assert not has_moved(ours, ("0.0.0.1" if host != "::1" else "100::1", 9))


def test_while_there_is_no_way_at_all_the_old_one_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere(socket.socket):
        def connect(self, _address: object) -> None:
            raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "socket", Nowhere)
    assert not has_moved((OF_BEFORE, 4711), ("203.0.113.5", 443))
