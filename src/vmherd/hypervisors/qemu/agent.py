"""The QEMU guest agent: what only somebody inside the guest can do.

Source: QEMU's qga/qapi-schema.json.  The agent may be absent, hung or lie, so each answer has a deadline and a size.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import msgspec

from vmherd.errors import HypervisorError, NotResponding
from vmherd.util.sockets import connect_unix

CHANNEL = "org.qemu.guest_agent.0"
_LIMIT = 4 << 20
_SENTINEL = b"\xff"


class Agent:
    """A connection to the agent's socket of one guest; use ``execute`` once or more, then ``close``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: Path, *, patience: float = 2.0) -> Agent:
        """Connect and synchronise.  Raises NotResponding if no agent answers within ``patience`` seconds."""
        try:
            reader, writer = await asyncio.open_connection(sock=connect_unix(path), limit=_LIMIT)
        except OSError as problem:
            raise HypervisorError(f"no agent channel at {path}: {problem.strerror}") from None
        agent = cls(reader, writer)
        try:
            async with asyncio.timeout(patience):
                await agent._synchronise()
        except (TimeoutError, HypervisorError):
            agent.close()
            raise NotResponding(
                "the guest agent does not answer", hint="is qemu-guest-agent installed and running in the guest?"
            ) from None
        return agent

    async def _synchronise(self) -> None:
        # The sentinel makes the agent drop half a message that an earlier client left in its parser.
        number = secrets.randbelow(1 << 31)
        self._send("guest-sync-delimited", {"id": number}, prefix=_SENTINEL)
        await self._read_until(_SENTINEL)
        while await self._receive() != number:
            continue

    async def execute(self, command: str, arguments: dict[str, object] | None = None, *, patience: float = 5.0) -> Any:
        """Run a command; raises HypervisorError if the agent refuses, NotResponding after ``patience`` seconds."""
        self._send(command, arguments)
        try:
            async with asyncio.timeout(patience):
                return await self._receive()
        except TimeoutError:
            raise NotResponding(f"the guest agent did not answer {command!r} within {patience:g} s") from None

    def _send(self, command: str, arguments: dict[str, object] | None, *, prefix: bytes = b"") -> None:
        message: dict[str, object] = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        self._writer.write(prefix + msgspec.json.encode(message) + b"\n")

    async def _receive(self) -> Any:
        line = await self._read_until(b"\n")
        try:
            answer = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as problem:
            raise HypervisorError(f"the guest agent does not speak JSON: {problem}") from None
        if "error" in answer:
            raise HypervisorError(f"the guest agent refused: {answer['error']}")
        return answer.get("return")

    async def _read_until(self, end: bytes) -> bytes:
        try:
            return await self._reader.readuntil(end)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as problem:
            raise HypervisorError(f"the guest agent broke off: {problem}") from None

    def close(self) -> None:
        self._writer.close()


async def power(path: Path, mode: str) -> None:
    """Ask the agent for ``mode``: powerdown, reboot or halt.

    On success the agent sends no answer at all, so silence is consent once it was in touch.
    """
    agent = await Agent.connect(path)
    try:
        await agent.execute("guest-shutdown", {"mode": mode}, patience=1.0)
    except NotResponding:
        return
    finally:
        agent.close()
