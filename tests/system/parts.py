"""Parts that tests with real guests are made of."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from pathlib import Path
from typing import TypeVar

from vmherd.api.aio import Domain, Host
from vmherd.driver.types import State
from vmherd.events import DomainEvent, Lifecycle, LifecycleEvent

E = TypeVar("E", bound=DomainEvent)


#: 16-bit code for address 0x7c00: print the text at 0x7c21 on COM1, then echo (ports of a 16550: 0x3f8, 0x3fd).
ECHO = bytes.fromhex(
    "31c0 8ed8"  # xor ax,ax; mov ds,ax
    "be217c baf803"  # mov si,text; mov dx,0x3f8
    "ac 84c0 7403 ee ebf8"  # next: lodsb; test al,al; jz echo; out dx,al; jmp next
    "bafd03 ec a801 74fb"  # echo: mov dx,0x3fd; wait: in al,dx; test al,1; jz wait
    "baf803 ec ee ebf1"  # mov dx,0x3f8; in al,dx; out dx,al; jmp echo
)
GREETING = b"the boot sector is here\r\n"


async def stop_all(host: Host) -> None:
    for info in await host.domains():
        if info.active:
            await (await host.domain(info.name)).poweroff()


def processes(root: Path) -> dict[int, str]:
    """Pids and command lines of all processes but ours that have to do with this test's folder.

    The keeper of a session is told of it by its environment only.
    """
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode()
                variables = Path(entry.path, "environ").read_bytes()
            except OSError:
                continue
            if str(root) in line or os.fsencode(root) in variables:
                found[int(entry.name)] = line
    return found


def make_disk(folder: Path, name: str = "disk.qcow2") -> Path:
    path = folder / name
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    return path


def make_echo_disk(folder: Path) -> Path:
    """A qcow2 image that boots the echo."""
    raw, disk = folder / "echo.raw", folder / "echo.qcow2"
    sector = (ECHO + GREETING + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    raw.write_bytes(sector.ljust(1 << 20, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    raw.unlink()
    return disk


async def echoes(domain: Domain) -> None:
    """Talk to the guest: it says what we said."""
    console = await domain.open_console()
    heard = b""
    try:
        async with asyncio.timeout(30):
            while b"Z" not in heard:
                await console.write(b"Z")  # before the guest is up nobody hears it
                try:
                    async with asyncio.timeout(0.3):
                        heard += await console.read()
                except TimeoutError:
                    continue
    finally:
        await console.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert isinstance(port, int)
        return port


async def until(domain: Domain, *states: State, timeout: float = 20) -> None:
    async with asyncio.timeout(timeout):
        while await domain.state() not in states:
            await asyncio.sleep(0.02)


class Ear:
    """Everything a connection hears from when the block is entered."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.heard: list[DomainEvent] = []

    async def __aenter__(self) -> Ear:
        self._subscription = await self._host._driver.events()
        self._task = asyncio.create_task(self._listen())
        return self

    async def _listen(self) -> None:
        async for event in self._subscription:
            self.heard.append(event)

    async def __aexit__(self, *_: object) -> None:
        self._subscription.close()
        await self._task

    def told(self) -> list[tuple[Lifecycle, str]]:
        return [(event.event, event.detail_name) for event in self.heard if isinstance(event, LifecycleEvent)]

    async def wait(self, kind: type[E], timeout: float = 20) -> E:
        """The first event of a kind."""
        async with asyncio.timeout(timeout):
            while not (found := [event for event in self.heard if isinstance(event, kind)]):
                await asyncio.sleep(0.02)
        return found[0]

    async def hear(self, event: Lifecycle, timeout: float = 20) -> None:
        async with asyncio.timeout(timeout):
            while event not in [each for each, _ in self.told()]:
                await asyncio.sleep(0.02)
