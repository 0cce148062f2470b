"""What a policy's program is, as the machine and those who use it see it."""

from __future__ import annotations

from typing import Protocol

from tray_app.core.provider_errors import Answer


class Program(Protocol):
    """A policy at work in a process."""

    name: str

    async def start(self) -> None:
        """Its life."""

    async def once(self) -> None:
        """A second, short-lived process of it asks for a token."""

    async def token(self) -> str | None:
        """What it hands to a program that asks."""

    async def signed_in(self, answer: Answer) -> None:
        """The person has signed in; raises where that cannot be kept."""

    async def before_sleep(self) -> None:
        """The system is about to sleep, tells it, and waits."""

    async def quit(self) -> None:
        """It is asked to end."""

    def happened(self, what: str, signals: bool) -> None:  # noqa: FBT001 - the form of the callback
        """Resume, network, clock; with `signals`, on a system that tells of it."""
