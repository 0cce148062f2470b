"""Whose connection it is, read from recorded lists of each system's kernel."""

# ruff: noqa: E501 - rows as the kernel writes them

import socket
import struct

import pytest

from tray_app.base.http.peer_user import owner_in_pcblist, owner_in_proc, pid_in_table, proc_end

TCP = b"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1471 1 000000005c277a38 100 0 0 10 0
   1: 0100007F:B66D 0100007F:E5E6 06 00000000:00000000 03:0000041A 00000000     0        0 0 3 000000007d2c236e
   2: 0100007F:9471 0100007F:CF5E 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 00000000b699d33d 20 4 30 10 -1
   3: 0100007F:CF5E 0100007F:9471 01 00000000:00000000 00:00000000 00000000   998        0 4712 1 00000000b699d33e 20 4 30 10 -1
"""
TCP6 = b"""\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:9471 00000000000000000000000001000000:CF5E 01 00000000:00000000 00:00000000 00000000  1001        0 5 1 0 20 4 30 10 -1
   1: 0000000000000000FFFF00000100007F:9471 0000000000000000FFFF00000100007F:CF60 01 00000000:00000000 00:00000000 00000000  1002        0 6 1 0 20 4 30 10 -1
"""


@pytest.mark.parametrize(
    ("table", "address", "peer", "ours", "owner"),
    [
        pytest.param(TCP, "127.0.0.1", 0x9471, 0xCF5E, 1000, id="open"),
        pytest.param(TCP, "127.0.0.1", 0xCF5E, 0x9471, 998, id="the other end has its own row"),
        pytest.param(TCP, "127.0.0.1", 0xB66D, 0xE5E6, None, id="closed: uid 0, inode 0"),
        pytest.param(TCP, "127.0.0.1", 0x9471, 0xCF5F, None, id="missing"),
        pytest.param(TCP, "0.0.0.0", 0x07E8, 0x9471, None, id="a listener"),
        pytest.param(TCP6, "::1", 0x9471, 0xCF5E, 1001, id="IPv6"),
        pytest.param(TCP6, "127.0.0.1", 0x9471, 0xCF60, 1002, id="IPv4 through an IPv6 socket"),
        pytest.param(TCP6, "127.0.0.1", 0x9471, 0xCF5E, None, id="of the same ports, IPv6 is another"),
        pytest.param(TCP[:200], "127.0.0.1", 0x9471, 0xCF5E, None, id="cut off"),
        pytest.param(b"", "127.0.0.1", 0x9471, 0xCF5E, None, id="empty"),
    ],
)
def test_linux(table: bytes, address: str, peer: int, ours: int, owner: int | None) -> None:
    ends = [proc_end((address, port), mapped=table is TCP6) for port in (peer, ours)]

    assert owner_in_proc(table, *ends) == owner


def windows_port(port: int) -> int:
    return int(struct.unpack("=I", struct.pack(">H", port) + b"xx")[0])


def test_windows() -> None:
    here, six = socket.inet_aton("127.0.0.1"), socket.inet_pton(socket.AF_INET6, "::1")
    rows = [struct.pack("=I4sI4sII", 5, here, windows_port(1000), here, windows_port(2000), pid) for pid in (7, 8)]
    closed = struct.pack("=I4sI4sII", 11, here, windows_port(1001), here, windows_port(2000), 0)
    table = struct.pack("=I", 3) + b"".join([*rows, closed]) + b"rest"
    table6 = struct.pack("=I", 1) + struct.pack("=16sII16sIIII", six, 0, windows_port(1), six, 0, windows_port(2), 5, 9)
    local = "127.0.0.1"

    assert pid_in_table(table, (local, 1000), (local, 2000), is_ipv6=False) == 7
    assert pid_in_table(table, (local, 2000), (local, 1000), is_ipv6=False) is None
    assert pid_in_table(table, (local, 1001), (local, 2000), is_ipv6=False) is None
    assert pid_in_table(table6, ("::1", 1), ("::1", 2), is_ipv6=True) == 9
    assert pid_in_table(table6, (local, 1), (local, 2), is_ipv6=True) is None


def macos_pcb(local: str, local_port: int, foreign: str, foreign_port: int, uid: int) -> bytes:
    """A connection's first two records, as XNU writes them."""
    pcb = bytearray(struct.pack("=II8x", 104, 0x010)) + struct.pack(">HH", foreign_port, local_port) + bytes(84)
    if ":" in local:
        pcb[44] = 2
        pcb[48:64], pcb[64:80] = (socket.inet_pton(socket.AF_INET6, one) for one in (foreign, local))
    else:
        pcb[44] = 1
        pcb[60:64], pcb[76:80] = socket.inet_aton(foreign), socket.inet_aton(local)
    return bytes(pcb) + struct.pack("=II56xI", 72, 0x001, uid) + bytes(4)


def test_macos() -> None:
    generation = struct.pack("=II16x", 24, 2)
    rows = macos_pcb("127.0.0.1", 1, "127.0.0.1", 2, 501) + macos_pcb("::1", 1, "::1", 2, 502)
    table = generation + rows + generation

    assert owner_in_pcblist(table, ("127.0.0.1", 1), ("127.0.0.1", 2)) == 501
    assert owner_in_pcblist(table, ("::1", 1), ("::1", 2)) == 502
    assert owner_in_pcblist(table, ("127.0.0.1", 2), ("127.0.0.1", 1)) is None
    assert owner_in_pcblist(generation, ("127.0.0.1", 1), ("127.0.0.1", 2)) is None
