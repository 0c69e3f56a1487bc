"""A person's terminal on a guest's console, until Ctrl-] or until the guest ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum

import click

from vmherd.api.aio import Domain
from vmherd.cli.command import somebody_there
from vmherd.driver.types import Console
from vmherd.errors import Busy, DomainNotFound, HypervisorError
from vmherd.util.descriptors import readable

#: Ctrl-], as telnet, virsh and `xl console` have it.
ESCAPE = b"\x1d"

#: Seconds between the end of a console and the end of its guest.
_PATIENCE = 10.0


class End(Enum):
    """Why nobody looks at a console any more."""

    DETACHED = "detached"
    GUEST = "the guest ended"
    TAKEN = "somebody else took the console"
    SIGNAL = "told to end"


async def attach(domain: Domain, *, force: bool = False, after: Callable[[], Awaitable[None]] | None = None) -> End:
    """Connect standard input and output to the console of ``domain``; do ``after`` as soon as they are.

    A terminal is in raw mode meanwhile, so every key but Ctrl-] reaches the guest.  Where standard input is no
    terminal and ends, the guest is still listened to.  SIGTERM and SIGHUP detach.
    """
    console = await domain.open_console(force=force)
    try:
        with raw_terminal():
            if after:
                await after()
            end = await _converse(console)
    finally:
        await console.close()
    if end is End.GUEST and not await _stopped(domain):
        end = End.TAKEN
    click.echo(f"\n{_farewell(domain.name, end)}", err=True)
    return end


def _farewell(name: str, end: End) -> str:
    match end:
        case End.GUEST:
            return f"{name} ended."
        case End.TAKEN:
            return f"Somebody else took the console of {name}."
        case _:
            return f"{name} runs on: 'vmherd console {name}' comes back, 'vmherd stop {name}' shuts it down."


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Every key as it is pressed, none handled by the terminal itself; as it was before in the end."""
    if not somebody_there():
        yield
        return
    fd = sys.stdin.fileno()
    click.echo("Ctrl-] detaches.", err=True)
    before = termios.tcgetattr(fd)
    tty.setraw(fd, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def _converse(console: Console) -> End:
    async with asyncio.TaskGroup() as group:
        told = group.create_task(_until_told())
        typing = group.create_task(_type(console))
        showing = group.create_task(_show(console))
        done, _ = await asyncio.wait({told, typing, showing}, return_when=asyncio.FIRST_COMPLETED)
        if typing in done and typing.result() is None:  # the end of a file: nothing more to type
            done, _ = await asyncio.wait({told, showing}, return_when=asyncio.FIRST_COMPLETED)
        for task in (told, typing, showing):
            task.cancel()
    return next(end for task in done if (end := task.result()))


async def _type(console: Console) -> End | None:
    """Standard input to the guest: DETACHED at Ctrl-], None at its end."""
    if sys.stdin is None:  # it was closed before we started
        return None
    fd = sys.stdin.fileno()
    while data := await _read(fd):
        wanted, escape, _ = data.partition(ESCAPE) if os.isatty(fd) else (data, b"", b"")
        if wanted:
            try:
                await console.write(wanted)
            except HypervisorError:
                return None  # the guest just ended; whoever shows its output says so
        if escape:
            return End.DETACHED
    return None


async def _read(fd: int) -> bytes:
    with suppress(PermissionError):  # epoll(7) takes no regular file; those never make us wait
        await readable(fd)
    return os.read(fd, 4096)


async def _show(console: Console) -> End:
    sys.stdout.flush()
    fd = sys.stdout.fileno()
    while data := await console.read():
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    return End.GUEST


async def _until_told() -> End:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    return End.SIGNAL


async def _stopped(domain: Domain) -> bool:
    try:
        await domain.wait_stopped(_PATIENCE)
    except Busy:
        return False
    except DomainNotFound:
        return True
    return True
