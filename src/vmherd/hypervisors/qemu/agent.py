"""The QEMU guest agent: what only somebody inside the guest can do.

Source: QEMU's qga/qapi-schema.json.  The agent may be absent, hung or lie, so each answer has a deadline and a size.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vmherd.driver.agent import AgentTimeout
from vmherd.errors import HypervisorError, NotResponding
from vmherd.util.sockets import connect_unix

T = TypeVar("T")

CHANNEL = "org.qemu.guest_agent.0"
#: Seconds that an agent gets to say that it is there, and to answer what takes no time.
PATIENCE = 5.0
#: Seconds after which even a command that may take as long as it wants is given up.
ENDLESS = 3600.0
_LIMIT = 4 << 20
_SENTINEL = b"\xff"
#: What an agent says of a command that it does not have, or not any more.
_UNKNOWN = ("CommandNotFound", "CommandDisabled", "Unsupported")


class AgentRefused(HypervisorError):
    """The agent understood and said no; ``unsupported`` where it does not have the command at all."""

    def __init__(self, command: str, error: object) -> None:
        told = error if isinstance(error, dict) else {}
        super().__init__(f"unable to execute QEMU agent command '{command}': {told.get('desc', 'unknown error')}")
        self.unsupported = told.get("class") in _UNKNOWN


class Agent:
    """A connection to the agent's socket of one guest; use ``execute`` once or more, then ``close``.

    ``patience`` is how long commands may take that are not told another time, in seconds.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._vanished = False

    @classmethod
    async def connect(cls, path: Path, *, patience: float = ENDLESS) -> Agent:
        """Connect and synchronise.  Raises NotResponding if no agent answers, in five seconds at most."""
        try:
            reader, writer = await asyncio.open_connection(sock=connect_unix(path), limit=_LIMIT)
        except OSError as problem:
            raise NotResponding(f"no agent channel at {path}: {problem.strerror}") from None
        agent = cls(reader, writer, patience)
        at_most = min(PATIENCE, patience)
        try:
            async with asyncio.timeout(at_most):
                await agent._synchronise()
        except (TimeoutError, HypervisorError):
            agent.close()
            raise NotResponding(
                f"guest agent didn't respond to synchronization within '{at_most:g}' seconds",
                hint="is qemu-guest-agent installed and running in the guest?",
            ) from None
        except BaseException:
            agent.close()
            raise
        return agent

    async def _synchronise(self) -> None:
        # The sentinel makes the agent drop half a message that an earlier client left in its parser, and us what the
        # agent says to a question that nobody waits for any more.
        number = secrets.randbelow(1 << 31)
        self._send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, prefix=_SENTINEL)
        await self._read_until(_SENTINEL)
        wanted = {"return": number}
        # Another's question to synchronise may be answered first, if the agent had no time for it.
        while _decoded((await self._read_until(b"\n")).rpartition(_SENTINEL)[2]) != wanted:
            continue

    async def ask(self, command: str, kind: type[T], arguments: dict[str, object] | None = None) -> T:
        """Run a command whose value is a ``kind``; raises as ``execute`` does, and HypervisorError for another."""
        value = await self.execute(command, arguments)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as problem:
            raise HypervisorError(f"what the guest agent answers to '{command}' makes no sense: {problem}") from None

    async def execute(
        self, command: str, arguments: dict[str, object] | None = None, *, patience: float | None = None
    ) -> Any:
        """Run a command and return its value.

        Raises AgentRefused, NotResponding after ``patience`` seconds, HypervisorError if the agent went away.
        """
        message: dict[str, object] = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        answer = await self.exchange(message, patience=patience)
        self.require_value(command, answer)
        return answer.get("return")

    def require_value(self, command: str, answer: dict[str, Any]) -> None:
        """Raise AgentRefused for an answer that is an error."""
        if "error" in answer:
            raise AgentRefused(command, answer["error"])

    async def exchange(self, message: dict[str, object], *, patience: float | None = None) -> dict[str, Any]:
        """Send a command as it is, and return what the agent says; raises as ``execute`` does."""
        patience = self._patience if patience is None else patience
        self._send(message)
        try:
            async with asyncio.timeout(patience):
                return await self._receive()
        except TimeoutError:
            raise NotResponding(
                f"guest agent didn't respond to command within '{patience:g}' seconds",
                hint="it may still do what it was told; the guest may be overloaded",
            ) from None

    async def go(self, command: str, arguments: dict[str, object] | None = None, *, patience: float) -> None:
        """Run a command that the agent does not live to answer: once it was in touch, silence is consent."""
        try:
            await self.execute(command, arguments, patience=patience)
        except (NotResponding, AgentGone):
            return

    def vanish(self) -> None:
        """Nobody is there any more to answer: whoever waits hears it."""
        self._vanished = True
        self.close()

    def _send(self, message: dict[str, object], *, prefix: bytes = b"") -> None:
        self._writer.write(prefix + msgspec.json.encode(message) + b"\n")

    async def _receive(self) -> dict[str, Any]:
        answer = _decoded(await self._read_until(b"\n"))
        if answer is None:
            raise HypervisorError("the guest agent does not speak JSON")
        return answer

    async def _read_until(self, end: bytes) -> bytes:
        try:
            return await self._reader.readuntil(end)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as problem:
            if self._vanished:
                raise AgentGone("Guest agent disappeared while executing command") from None
            raise HypervisorError(f"the guest agent broke off: {problem}") from None

    def close(self) -> None:
        self._writer.close()


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def patience_of(timeout: int) -> float:
    """The seconds of a virDomainQemuAgentCommandTimeoutValues."""
    match timeout:
        case AgentTimeout.BLOCK:
            return ENDLESS
        case AgentTimeout.DEFAULT:
            return PATIENCE
    return float(timeout)


class AgentGone(NotResponding):
    """The guest, or the agent in it, went away before it answered."""
