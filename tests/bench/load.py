"""Many programs at once ask a socket, again and again: over a new connection each time, or over one that they keep."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Asking:
    """How a program asks, and how it knows that the answer is whole."""

    socket: str
    question: bytes
    is_whole: Callable[[bytes], bool]
    keeps: bool = False
    """Whether it asks again over the same connection."""


@dataclass(frozen=True)
class Load:
    """What so many programs saw."""

    per_second: float
    p99: float
    """Milliseconds within which 99 of 100 answers came."""


def load(asking: Asking, clients: int, questions: int) -> Load:
    """`questions` of them altogether, `clients` at a time."""
    poll = select.epoll()
    under_way: dict[int, tuple[socket.socket, float, bytearray]] = {}
    times: list[float] = []

    def begin() -> None:
        connected = socket.socket(socket.AF_UNIX)
        began = time.perf_counter()
        connected.connect(asking.socket)
        connected.setblocking(False)
        connected.sendall(asking.question)
        under_way[connected.fileno()] = connected, began, bytearray()
        poll.register(connected, select.EPOLLIN)

    start = time.perf_counter()
    for _ in range(clients):
        begin()
    while under_way:
        for number, _ in poll.poll():
            connected, began, answer = under_way[number]
            piece = connected.recv(65_536)
            answer += piece
            if piece and not asking.is_whole(bytes(answer)):
                continue
            assert asking.is_whole(bytes(answer)), bytes(answer)
            times.append(time.perf_counter() - began)
            more = len(times) + len(under_way) <= questions
            if more and asking.keeps:
                under_way[number] = connected, time.perf_counter(), bytearray()
                connected.sendall(asking.question)
                continue
            del under_way[number]
            poll.unregister(number)
            connected.close()
            if more:
                begin()
    seconds = time.perf_counter() - start
    poll.close()
    return Load(len(times) / seconds, sorted(times)[int(len(times) * 0.99)] * 1000)
