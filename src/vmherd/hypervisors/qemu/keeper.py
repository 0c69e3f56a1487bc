"""The keeper: one small process per state folder that stays while guests run.

It hears what each QEMU tells, keeps the records true, and does what a document wants to happen at the end of its
guest (on_poweroff, on_reboot, on_crash).  Guests do not depend on it: whoever next uses the folder starts
another one, which asks every guest how it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from qemu.qmp import Message

from vmherd.driver.types import ShutoffReason
from vmherd.driver.uri import parse_uri
from vmherd.errors import HostError, HypervisorError, NotResponding, VmherdError
from vmherd.events import Event
from vmherd.hypervisors.qemu.folders import Folders, for_uri
from vmherd.hypervisors.qemu.life import Life, pause_reason, process_of
from vmherd.hypervisors.qemu.monitor import Monitor, connected
from vmherd.state.changes import change_running
from vmherd.state.domains import DomainTable, Entry, Live
from vmherd.state.hub import EventHub
from vmherd.state.jobs import Jobs
from vmherd.state.notify import Listener
from vmherd.state.store import Store
from vmherd.util import process

#: Seconds without any guest after which the keeper leaves.
IDLE = 1.0
#: Seconds before what could not be done at the end of a guest is tried again, such as where the disk is full.
_AGAIN = 2.0

log = logging.getLogger("vmherd.keeper")


class Keeper:
    """Looks after every guest of one set of folders."""

    def __init__(self, folders: Folders, store: Store) -> None:
        self._folders = folders
        self._table = DomainTable(store)
        self._life = Life(self._table, folders, Jobs(folders.jobs))
        self._watched: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._mending: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Look after guests until there was none for a while."""
        listener = Listener(self._folders.listeners, self._wake.set)
        try:
            while self._look() or not await self._idle():
                await self._wake.wait()
                self._wake.clear()
        finally:
            listener.close()
            for task in (*self._watched.values(), *self._mending.values()):
                task.cancel()

    async def _idle(self) -> bool:
        """Whether nothing came for IDLE seconds."""
        try:
            async with asyncio.timeout(IDLE):
                await self._wake.wait()
        except TimeoutError:
            return True
        return False

    def _look(self) -> bool:
        """Watch every guest that is new; whether there is any at all."""
        living = [entry for entry in self._table.all() if entry.live]
        for entry in living:
            assert entry.live is not None
            key = (entry.uuid, entry.live.id)
            if key in self._watched:
                if entry.uuid not in self._mending and self._life.broken_off(entry):
                    self._mending[entry.uuid] = asyncio.create_task(self._mend(entry))
                continue
            if self._life.abandoned(entry):
                self._watched[key] = asyncio.create_task(self._settle(entry, entry.live))
            elif entry.live.pid:
                self._watched[key] = asyncio.create_task(self._watch(entry, entry.live))
        return bool(living)

    async def _settle(self, entry: Entry, live: Live) -> None:
        """See to a start whose process died before it was complete; what runs after all is watched next."""
        await self._life.attend(entry)
        del self._watched[entry.uuid, live.id]
        self._wake.set()

    async def _mend(self, entry: Entry) -> None:
        """Put right what somebody who was killed left half-done; one that cannot be, the next look tries again."""
        try:
            await self._life.attend(entry)
        except VmherdError as problem:
            log.warning("%s: %s", entry.name, problem)
        finally:
            del self._mending[entry.uuid]

    async def _watch(self, entry: Entry, live: Live) -> None:
        """Follow one guest to its end."""
        guest = _Guest(entry, live, self._life, self._folders)
        listening = asyncio.create_task(guest.listen())
        try:
            await process.wait_exit(live.pid)
            await self._life.ended(entry.uuid, live.id)
        except VmherdError as problem:
            log.error("%s: %s", entry.name, problem)
            await asyncio.sleep(_AGAIN)
        finally:
            listening.cancel()
            del self._watched[entry.uuid, live.id]
            self._wake.set()


class _Guest:
    """One run of one guest, as its events tell it."""

    def __init__(self, entry: Entry, live: Live, life: Life, folders: Folders) -> None:
        self._entry = entry
        self._uuid, self._run = entry.uuid, live.id
        self._live = live
        self._life = life
        self._folders = folders
        self._monitor: Monitor | None = None
        # It works on documents, which whoever only starts a keeper does without.
        from vmherd.hypervisors.qemu import heard

        self._forgetting: set[asyncio.Task[None]] = set()
        self._heard = heard
        self._chronicle = heard.Chronicle(life.table, life, entry, live)

    async def listen(self) -> None:
        """Act on QEMU's events; a connection that breaks is made anew."""
        while process.is_alive(process_of(self._live)):
            try:
                await self._follow_monitor()
            except NotResponding as problem:
                log.warning("%s: %s", self._entry.name, problem)
                self._chronicle.control_lost()
            except VmherdError as problem:
                log.warning("%s: %s", self._entry.name, problem)
            await asyncio.sleep(0.2)

    async def _follow_monitor(self) -> None:
        sieve = self._heard.Sieve()
        # A QEMU that is stopped greets us when it goes on: no deadline.
        async with connected(self._folders.watch(self._uuid), events=True, sieve=sieve, patience=3600.0) as monitor:
            self._monitor = monitor
            await self._life.reconcile(self._entry, self._live, monitor)
            await self._catch_up(monitor)
            asking = asyncio.create_task(self._ask_once_ready(monitor))
            try:
                async for batch in monitor.batches():
                    await self._hear(batch, monitor)
            finally:
                asking.cancel()

    async def _hear(self, batch: Sequence[Message], monitor: Monitor) -> None:
        disks: dict[str, str] = {}
        try:
            disks = await self._heard.disks_of(batch, monitor)
        finally:  # what QEMU told is noted, whether it says more or not
            self._chronicle.note(batch, disks)
        for event in batch:
            await self._act(str(event["event"]), cast("Mapping[str, Any]", event.get("data", {})))

    async def _ask_once_ready(self, monitor: Monitor) -> None:
        """Note what could not be before the start was complete: a guest that stands still already, and its channels."""
        # Other processes complete it; they tell the keeper as a whole, and here it is no hurry.
        while (live := self._life.current(self._uuid, self._run)) and not live.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        with suppress(HypervisorError):  # whoever listens hears it, too
            await self._on_stop({})
            lines = await monitor.execute("query-chardev")
            self._chronicle.channels({each["label"].removeprefix("char"): each["frontend-open"] for each in lines})

    def _forget(self, alias: str = "") -> None:
        """Take out of the document what the guest let go, as soon as no job holds it."""
        task = asyncio.create_task(self._forget_devices(alias))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _forget_devices(self, alias: str) -> None:
        try:
            await self._life.forget_devices(self._uuid, self._run, alias)
        except VmherdError as problem:
            log.warning("%s: %s", self._entry.name, problem)

    async def _catch_up(self, monitor: Monitor) -> None:
        """Carry out what an event asked for while nobody listened."""
        if (live := self._life.current(self._uuid, self._run)) and live.ready:
            self._forget()
        status = (await monitor.execute("query-status"))["status"]
        if status == "shutdown":
            await self._follow(self._now.on_poweroff, ShutoffReason.SHUTDOWN)
        elif status == "guest-panicked":
            await self._crash()

    @property
    def _now(self) -> Live:
        """The record as it is: what shall happen at the guest's end may have been changed."""
        return self._life.current(self._uuid, self._run) or self._live

    async def _act(self, name: str, data: Mapping[str, Any]) -> None:
        log.info("%s: %s %s", self._entry.name, name, data)
        action = _ACTIONS.get(name)
        if action and self._life.current(self._uuid, self._run):
            await action(self, data)

    async def _on_device_deleted(self, data: Mapping[str, Any]) -> None:
        from vmherd.hypervisors.qemu.tuning import hotcpus  # documents: who just looks for a keeper needs none

        alias = str(data.get("device", ""))
        if hotcpus.is_vcpu(alias):
            change_running(self._life.table, self._uuid, self._run, hotcpus.gone(alias))
        elif alias:
            self._forget(alias)

    # What an event says of the vCPUs may be over when it is heard, and somebody else may have noted the rest.

    async def _on_resume(self, _: Mapping[str, Any]) -> None:
        if await self._status() == "running":
            self._life.resumed(self._uuid, self._run)

    async def _on_stop(self, _: Mapping[str, Any]) -> None:
        reason = pause_reason(await self._status())
        if reason is not None:
            self._life.paused(self._uuid, self._run, reason)

    async def _status(self) -> str:
        assert self._monitor is not None  # whoever hears events has one
        return str((await self._monitor.execute("query-status"))["status"])

    async def _on_sleep(self, _: Mapping[str, Any]) -> None:
        self._life.sleeping(self._uuid, self._run, disk=False)

    async def _on_hibernate(self, _: Mapping[str, Any]) -> None:
        self._life.sleeping(self._uuid, self._run, disk=True)

    async def _on_wakeup(self, _: Mapping[str, Any]) -> None:
        self._life.resumed(self._uuid, self._run)

    async def _on_shutdown(self, data: Mapping[str, Any]) -> None:
        if data["reason"] in ("host-signal", "host-qmp-quit"):
            return  # QEMU itself is about to leave; whoever asked for it has noted why
        self._life.shutting_down(self._uuid, self._run, by_guest=data["guest"])
        reset = data["reason"] == "guest-reset"
        await self._follow(self._now.on_reboot if reset else self._now.on_poweroff, ShutoffReason.SHUTDOWN)

    async def _on_reset(self, data: Mapping[str, Any]) -> None:
        if data["guest"] and self._now.on_reboot == "destroy":
            await self._life.stop(self._uuid, self._live, ShutoffReason.SHUTDOWN)

    async def _on_panic(self, _: Mapping[str, Any]) -> None:
        await self._crash()

    async def _crash(self) -> None:
        self._life.panicked(self._uuid, self._run)
        action = self._now.on_crash
        if action.startswith("coredump-"):
            await self._dump()
        await self._follow(action.removeprefix("coredump-"), ShutoffReason.CRASHED)

    async def _dump(self) -> None:
        folder = self._folders.state / "dump"
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / f"{self._uuid}-{time.strftime('%Y%m%d-%H%M%S')}.elf"
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)  # QEMU may not make it
        try:
            async with connected(self._folders.control(self._uuid)) as monitor:
                await monitor.execute("getfd", {"fdname": "dump"}, fd=fd)
                arguments: dict[str, object] = {"paging": False, "protocol": "fd:dump"}
                await monitor.execute("dump-guest-memory", arguments, patience=600.0)
        finally:
            os.close(fd)

    async def _follow(self, action: str, reason: ShutoffReason) -> None:
        """Do what the document says of an end: begin anew, stay as it is, or be gone."""
        live = self._life.current(self._uuid, self._run)
        if live is None or live.stop_reason is not None:
            return  # somebody ends it already
        if action == "restart" or live.restart:
            async with connected(self._folders.control(self._uuid)) as monitor:
                await monitor.execute("system_reset")
                await monitor.execute("cont")
            self._life.restarted(self._uuid, self._run)
        elif action != "preserve":
            await self._life.stop(self._uuid, live, reason)


#: QEMU's events (qapi/run-state.json, qapi/block-core.json) and what each means for a guest.
_ACTIONS: dict[str, Callable[[_Guest, Mapping[str, Any]], Awaitable[None]]] = {
    "DEVICE_DELETED": _Guest._on_device_deleted,
    "RESUME": _Guest._on_resume,
    "STOP": _Guest._on_stop,
    "SUSPEND": _Guest._on_sleep,
    "SUSPEND_DISK": _Guest._on_hibernate,
    "WAKEUP": _Guest._on_wakeup,
    "SHUTDOWN": _Guest._on_shutdown,
    "RESET": _Guest._on_reset,
    "GUEST_PANICKED": _Guest._on_panic,
}


def is_present(folders: Folders) -> bool:
    """Whether a keeper looks after these folders now."""
    fd = _lock(folders.keeper_lock)
    if fd is None:
        return True
    os.close(fd)
    return False


#: When this process started a keeper last, by its folders, and its pid.
_begun: dict[Path, tuple[float, int]] = {}


def ensure(folders: Folders, uri: str) -> None:
    """Start a keeper unless there is one.  Call it after the guest was noted in the table.

    Raises HostError if it cannot be started.
    """
    if is_present(folders) or _is_beginning(folders):
        return
    argv = [sys.executable, "-m", "vmherd.hypervisors.qemu.keeper", uri]
    try:
        with (folders.log / "keeper.log").open("ab") as output:
            _begun[folders.run] = time.monotonic(), process.spawn(argv, output=output.fileno())
    except OSError as problem:
        raise HostError(
            f"cannot start the process that looks after guests: {problem.strerror}: {problem.filename}",
            hint="vmherd and its Python must be readable for whoever uses them",
        ) from None


def _is_beginning(folders: Folders) -> bool:
    """Whether one that we have started has yet to look around, which it does for IDLE seconds at least.

    Guests that start together need one keeper, not one each.
    """
    began, pid = _begun.get(folders.run, (-IDLE, 0))
    return time.monotonic() - began < IDLE and process.identify(pid) is not None


def _lock(path: Path) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def main(uri: str) -> None:
    """Run a keeper for the folders of ``uri``, unless there is one."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    folders = for_uri(parse_uri(uri))
    store = Store(folders.database)
    EventHub[Event](store, folders.listeners)  # wakes the other processes after each change of ours
    table = DomainTable(store)
    # A guest that was noted after the last look, before the lock was gone, relied on us: hence once more.
    while (lock := _lock(folders.keeper_lock)) is not None:
        try:
            asyncio.run(Keeper(folders, store).run())
        finally:
            os.close(lock)
        if not any(entry.live for entry in table.all()):
            return


if __name__ == "__main__":
    main(sys.argv[1])
