"""Another local user knows the address of the status page or of a sign-in: `/proc/*/cmdline` is everybody's."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from tests.integration.hostile_server import Browser
from tray_app.adapters.oauth.loopback_listener import Listener
from tray_app.base.http import peer_user
from tray_app.base.http.server import HttpServer, Limits, Request, Response, bind_loopback
from tray_app.interfaces.page.server import Page

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only where a second user can be had"),
    pytest.mark.skipif(sys.platform == "linux" and os.getuid() != 0, reason="only root can be another user, too"),
]

STRANGER = """
import socket, sys
host, port, target, how = sys.argv[1:]
one = socket.create_connection((host, int(port)), 5)
one.sendall(f"GET {target} HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n".encode())
if how == "close":
    one.close()
else:
    try:
        print(one.recv(65536).decode("latin-1").partition("\\r\\n")[0])
    except ConnectionResetError:
        print("reset")
"""


async def stranger(url: str, how: str = "stay") -> str:
    """The first line that a program of the user nobody gets there."""
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, target = rest.partition("/")
    setpriv = shutil.which("setpriv") or "setpriv"
    argv = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-I", "-c", STRANGER]
    run = asyncio.to_thread(
        subprocess.run, [*argv, host, port, f"/{target}", how], capture_output=True, text=True, timeout=20, check=True
    )
    return (await run).stdout.strip()


class NoSource:
    """The page is not looked at by anybody who should see it."""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    page = Page(NoSource())  # type: ignore[arg-type]
    yield page
    await page.close()


async def test_another_user_does_not_spend_the_pages_key(page: Page) -> None:
    address = await page.address()

    assert await stranger(address) in {"", "reset"}
    assert (await Browser({"Connection": "close"}).get(address)).status == 303, "the key is still good"


@pytest.mark.parametrize("how", ["stay", "close"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_another_user_cannot_answer_a_sign_in(host: str, how: str) -> None:
    listener = await Listener.open(f"http://{host}/callback", "STATE")

    await stranger(f"{listener.redirect_uri}?code=stolen&state=STATE", how)
    await asyncio.sleep(0.2)  # long enough for a connection that was closed at once to be looked at

    callback = asyncio.ensure_future(listener.callback())
    ours = asyncio.create_task(Browser().follow(f"{listener.redirect_uri}?code=ours&state=STATE"))
    found = await asyncio.wait_for(callback, 10)
    await asyncio.gather(listener.close(b""), ours)
    assert found.code is not None
    assert found.code.reveal() == "ours"


async def test_over_ipv6_another_user_is_known_as_well() -> None:
    async def handler(_: Request) -> Response:
        return Response(200)

    server = HttpServer(handler, own_user_only=True)
    (listening,) = bind_loopback("::1", 0)
    port = listening.getsockname()[1]
    await server.listen(listening)
    code = STRANGER.replace("{host}:{port}", "[::1]:{port}")
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-I", "-c", code]
    run = asyncio.to_thread(subprocess.run, [*argv, "::1", str(port), "/", "stay"], capture_output=True, check=True)

    assert (await run).stdout.strip() in {b"", b"reset"}
    assert (await Browser().get(f"http://[::1]:{port}/")).status == 200
    await server.close()


async def test_another_users_idle_connections_keep_nobody_out() -> None:
    async def handler(_: Request) -> Response:
        return Response(200)

    server = HttpServer(handler, Limits(connections=8), own_user_only=True)
    (listening,) = bind_loopback("127.0.0.1", 0)
    port = listening.getsockname()[1]
    await server.listen(listening)
    ours = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]  # of this user: the longest waiting go
    answer = await Browser().get(f"http://127.0.0.1:{port}/")

    assert answer.status == 200
    for one in ours:
        one.close()
    await server.close()


async def test_where_the_kernel_does_not_tell_the_other_defences_stand_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, page: Page
) -> None:
    monkeypatch.setattr(peer_user, "_is_own_on_posix", lambda *_: False)

    address = await page.address()

    assert "does not tell whose the connections" in caplog.text
    assert (await Browser({"Connection": "close"}).get(address)).status == 303


@pytest.mark.parametrize("is_wsl", [True, False])
def test_roots_connections_count_under_wsl_alone(monkeypatch: pytest.MonkeyPatch, *, is_wsl: bool) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(peer_user, "_owner_on_linux", lambda *_: 0)
    monkeypatch.setattr(peer_user, "_is_wsl_relay", lambda: is_wsl)

    assert peer_user._is_own_on_posix(("127.0.0.1", 1), ("127.0.0.1", 2)) is is_wsl


def test_a_closed_socket_which_linux_shows_as_roots_counts_for_nobody() -> None:
    (listening,) = bind_loopback("127.0.0.1", 0)
    own = listening.getsockname()
    client = socket.create_connection(own)
    peer = client.getsockname()
    assert peer_user._is_own_on_posix(peer, own)

    client.close()

    assert os.getuid() == 0
    assert not peer_user._is_own_on_posix(peer, own)
    listening.close()


@pytest.mark.parametrize("without_netlink", [True, False])
async def test_the_list_in_proc_serves_where_the_kernel_cannot_be_asked_by_key(
    monkeypatch: pytest.MonkeyPatch, page: Page, *, without_netlink: bool
) -> None:
    if without_netlink:
        monkeypatch.setattr(peer_user, "_owner_by_netlink", lambda *_: None)
    address = await page.address()

    assert await stranger(address) in {"", "reset"}
    assert (await Browser({"Connection": "close"}).get(address)).status == 303
