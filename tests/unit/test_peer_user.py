"""Whose a connection is, by recorded tables of the kernel."""

import sys

import pytest

from tray_app.base.http.peer_user import Owner, owner_of

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="only the recorded tables' order of bytes")

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
OURS = "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 111 1\n"
THEIRS = "   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 222 1\n"
CLOSED = "   3: 0100007F:C351 0100007F:1F90 06 00000000:00000000 03:00000F3A 00000000     0        0 0 3 0\n"
V6 = (
    "   4: 00000000000000000000000001000000:C352 00000000000000000000000001000000:1F90 01 00000000:00000000"
    " 00:00000000 00000000  1002        0 333 1 0 20 4 0 10 -1\n"
)
MAPPED = (
    "   5: 0000000000000000FFFF00000100007F:C353 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000"
    " 00:00000000 00000000  1003        0 444 1 0 20 4 0 10 -1\n"
)
TABLES = (HEAD + OURS + THEIRS + CLOSED, HEAD + V6 + MAPPED)


@pytest.mark.parametrize(
    ("peer", "own", "owner"),
    [
        (("127.0.0.1", 50000), ("127.0.0.1", 8080), Owner(1001, 222)),
        (("127.0.0.1", 50001), ("127.0.0.1", 8080), Owner(0, 0)),
        (("::1", 50002), ("::1", 8080), Owner(1002, 333)),
        (("127.0.0.1", 50003), ("127.0.0.1", 8080), Owner(1003, 444)),
        (("127.0.0.1", 50004), ("127.0.0.1", 8080), None),
        (("127.0.0.1", 50000), ("127.0.0.1", 8081), None),
        (("127.0.0.2", 50000), ("127.0.0.1", 8080), None),
    ],
    ids=["another user", "closed", "IPv6", "IPv4 in IPv6", "unknown", "another port of ours", "another address"],
)
def test_the_row_of_the_other_end_tells_whose_it_is(peer, own, owner):
    assert owner_of(peer, own, iter(TABLES)) == owner


@pytest.mark.parametrize("table", ["", HEAD, HEAD + "garbage\n", HEAD + THEIRS[:40]])
def test_a_table_without_the_row_tells_nothing(table):
    assert owner_of(("127.0.0.1", 50000), ("127.0.0.1", 8080), iter([table])) is None
