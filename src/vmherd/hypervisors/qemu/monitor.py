"""QEMU's monitor: commands with a deadline, events in order.

A QMP socket serves one client at a time; the others wait in its queue for the greeting.  So each guest has three:
``monitor.sock``, where whoever has something to do connects, does it and leaves; ``watch.sock``, where the keeper
listens for as long as the guest runs; and ``query.sock``, for questions that are answered at once (``exchange``),
whoever is busy with the guest for how long.

Source: QEMU's docs/interop/qmp-spec.rst.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, EventListener, ExecInterruptedError, ExecuteError, Message, QMPClient, QMPError

from vmherd.errors import HypervisorError, InvalidArgument, NotResponding
from vmherd.util.sockets import connect_unix

#: Seconds a healthy QEMU never needs for its answer, even on a loaded machine.
PATIENCE = 20.0

# The library logs each failed connection as an error; here a failure is an exception and is told once.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class Refused(HypervisorError):
    """QEMU understood the command and said no; ``kind`` is its error class, such as CommandNotFound."""

    def __init__(self, command: str, kind: str, text: str) -> None:
        super().__init__(f"QEMU refused {command!r}: {text}")
        self.command = command
        self.kind = kind
        self.text = text


class Monitor:
    """An open monitor connection of one guest."""

    def __init__(self, client: QMPClient, listener: EventListener, connection: socket.socket) -> None:
        self._client = client
        self._listener = listener
        self._connection = connection

    async def execute(
        self,
        command: str,
        arguments: dict[str, object] | None = None,
        *,
        patience: float = PATIENCE,
        fd: int | None = None,
    ) -> Any:
        """Run a command and return its value; ``fd`` is a descriptor that goes to QEMU with it.

        Raises Refused, NotResponding after ``patience`` seconds, HypervisorError if QEMU went away.
        """
        try:
            async with asyncio.timeout(patience):
                if fd is not None:  # all we wrote before has been answered, so that it stands before this command
                    socket.send_fds(self._connection, [b" "], [fd])
                return await self._client.execute(command, arguments)
        except TimeoutError:
            raise NotResponding(f"QEMU did not answer {command!r} within {patience:g} s", hint=_HUNG) from None
        except ExecuteError as problem:
            raise Refused(command, problem.error_class, str(problem)) from None
        except (ExecInterruptedError, QMPError, OSError) as problem:
            raise HypervisorError(f"QEMU went away during {command!r}: {problem}", hint=_LOG) from None

    async def hand_over(self, fd: int, name: str) -> None:
        """Give QEMU a descriptor, which commands on this connection know as ``fd:NAME``; ours stays open."""
        await self.execute("getfd", {"fdname": name}, fd=fd)

    async def attempt(self, command: str) -> None:
        """Run a command that not every QEMU has, and need not have."""
        try:
            await self.execute(command)
        except Refused as problem:
            if problem.kind != "CommandNotFound":
                raise

    async def exchange(
        self, command: dict[str, object], *, fd: int | None = None, patience: float = PATIENCE
    ) -> dict[str, object]:
        """Send a command as it is, with a descriptor if there is one, and return what QEMU says: a value or an error.

        Raises InvalidArgument for what is no command, NotResponding and HypervisorError as ``execute`` does.
        """
        try:
            async with asyncio.timeout(patience):
                if fd is not None:
                    self._client.send_fd_scm(fd)
                return {"return": await self._client.execute_msg(Message(command))}
        except TimeoutError:
            raise NotResponding(f"QEMU did not answer within {patience:g} s", hint=_HUNG) from None
        except ExecuteError as problem:
            return dict(problem.received)
        except ValueError:
            raise InvalidArgument(
                "a command of the monitor has an 'execute'", hint='{"execute": "query-status"}'
            ) from None
        except (ExecInterruptedError, QMPError, OSError) as problem:
            raise HypervisorError(f"QEMU went away: {problem}", hint=_LOG) from None

    async def events(self) -> AsyncGenerator[Message, None]:
        """Each event from now on, until QEMU closes the connection."""
        async for batch in self.batches():
            for event in batch:
                yield event

    async def batches(self) -> AsyncIterator[list[Message]]:
        """The events from now on, as many at once as there are, until QEMU closes the connection."""
        watcher = asyncio.create_task(self._until_closed())
        getter: asyncio.Task[Message] | None = None
        try:
            while True:
                getter = asyncio.create_task(self._listener.get())
                await asyncio.wait((getter, watcher), return_when=asyncio.FIRST_COMPLETED)
                if not getter.done():
                    return
                yield [getter.result(), *self._listener.clear()]
        finally:
            watcher.cancel()
            if getter:
                getter.cancel()

    async def _until_closed(self) -> None:
        while self._client.runstate.name == "RUNNING":
            await self._client.runstate_changed()


class _Listener(EventListener):
    """Keeps no history, which would grow for as long as a guest runs."""

    async def put(self, event: Message) -> None:
        if self.accept(event):
            await self._queue.put(event)


@asynccontextmanager
async def connected(
    path: Path,
    *,
    events: bool = False,
    sieve: Callable[[Message], bool] | None = None,
    patience: float = PATIENCE,
) -> AsyncIterator[Monitor]:
    """Take our turn at a monitor socket; ``sieve`` tells which events are worth to be heard.

    Raises NotResponding if QEMU does not greet us within ``patience`` seconds, HypervisorError if nobody
    listens there.
    """
    listener = _Listener(event_filter=sieve)
    try:
        async with asyncio.timeout(patience):
            client, connection = await _greeted(path, listener if events else None)
    except (TimeoutError, BlockingIOError):
        raise NotResponding(f"QEMU did not greet us on {path} within {patience:g} s", hint=_HUNG) from None
    except (ConnectError, OSError) as problem:
        raise HypervisorError(f"cannot reach QEMU on {path}: {problem}", hint=_LOG) from None
    try:
        yield Monitor(client, listener, connection)
    finally:
        await _leave(client)


async def _greeted(path: Path, listener: EventListener | None) -> tuple[QMPClient, socket.socket]:
    """A connection that QEMU has greeted.

    A client that was killed may have left a command to QEMU, whose answer the next client gets in place of its own, or
    an end that it shares; then we come again.
    """
    while True:
        client = QMPClient(path.parent.name)
        client.logger.setLevel(logging.CRITICAL)
        if listener:
            client.register_listener(listener)
        connection = connect_unix(path)
        try:
            await client.connect(connection)
        except BaseException as problem:
            await _leave(client)
            connection.close()  # who was interrupted early has it still, and QEMU would wait for him
            late = isinstance(problem, ConnectError) and isinstance(problem.exc, EOFError | QMPError | ConnectionError)
            if not late:
                raise
            await asyncio.sleep(0.05)
        else:
            return client, connection


async def _leave(client: QMPClient) -> None:
    # A connection that broke raises its reason again here; whoever used it has heard it already.
    try:
        async with asyncio.timeout(2.0):
            await client.disconnect()
    except (QMPError, OSError, EOFError, TimeoutError):
        return


_HUNG = "the process is stopped or overloaded; 'vmherd poweroff' ends it"
_LOG = "'vmherd info' shows whether it still runs; the guest's log file tells more"
