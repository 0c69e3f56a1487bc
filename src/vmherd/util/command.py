"""Running a program of the host to its end: an argument vector in, its output out."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from vmherd.errors import HostError

#: Output beyond this is an error: nothing we ask answers so much.
_MOST = 16 << 20

#: Words before a command that shall end when we are killed: nobody writes to what is cleaned up after a kill.
WITH_US = ("setpriv", "--pdeathsig", "KILL")


async def run(
    argv: Sequence[str | Path],
    *,
    patience: float = 60.0,
    package: str = "",
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    feed: str = "",
    fds: Sequence[int] = (),
    heard: Callable[[bytes], None] = lambda part: None,
) -> str:
    """What a program writes to its standard output, ``heard`` in parts as it comes.

    It reads ``feed``, inherits ``fds``, and speaks English.  It is killed after ``patience`` seconds, and when we are
    cancelled.  Raises HostError if it is missing (the hint names ``package``), too slow, or ends with an error, with
    its own last words.
    """
    name = os.fspath(argv[len(WITH_US) if tuple(argv[: len(WITH_US)]) == WITH_US else 0])
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=PIPE if feed else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=cwd,
            env=(env or dict(os.environ)) | {"LC_ALL": "C"},
            pass_fds=fds,
        )
    except FileNotFoundError:
        hint = f"apt install {package}" if package else f"install {name}"
        raise HostError(f"{name} is not installed", hint=hint) from None
    except OSError as problem:
        raise HostError(f"cannot start {name}: {problem.strerror}") from None
    try:
        async with asyncio.timeout(patience):
            output, complaint, _ = await asyncio.gather(
                _read(child.stdout, name, heard),
                _read(child.stderr, name, lambda part: None),
                _feed(child.stdin, feed),
            )
            status = await child.wait()
    except TimeoutError:
        raise HostError(f"{name} did not end within {patience:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if status:
        raise HostError(f"{name} failed: {_complaint(complaint) or _complaint(output) or f'exit status {status}'}")
    return output


async def _feed(stream: asyncio.StreamWriter | None, text: str) -> None:
    if stream:
        with suppress(ConnectionError):  # it has read enough; its exit status tells whether that was so
            stream.write(text.encode())
            await stream.drain()
        stream.close()


async def _read(stream: asyncio.StreamReader | None, name: str, heard: Callable[[bytes], None]) -> str:
    assert stream is not None  # it is a pipe
    found = bytearray()
    while part := await stream.read(65536):
        found += part
        heard(part)
        if len(found) > _MOST:
            raise HostError(f"{name} wrote more than {_MOST >> 20} MiB")
    return found.decode(errors="replace")


def _complaint(text: str) -> str:
    """The line that says what is wrong: some programs show where below it."""
    lines = text.strip().splitlines()
    return next((line for line in lines if "rror: " in line), lines[-1] if lines else "")
