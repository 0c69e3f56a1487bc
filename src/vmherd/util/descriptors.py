"""Waiting for file descriptors in the running event loop."""

from __future__ import annotations

import asyncio


async def readable(fd: int) -> None:
    """Return when ``fd`` can be read, or was closed by the other side."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


async def writable(fd: int) -> None:
    """Return when ``fd`` takes more, or was closed by the other side."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(fd)
