"""Waiting for what another program does, while the loop runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Returns once the condition holds; `TimeoutError` after the bound."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it is another program's condition: no event tells of it
            await asyncio.sleep(0.005)
