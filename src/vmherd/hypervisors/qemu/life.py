"""How a guest's life goes on: what its QEMU tells, and what its document wants to happen then.

Both the keeper and every driver connection use this.  Each step is one transaction that looks at the
record first, so it does not matter who comes first or whether both come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vmherd.driver.types import CrashedReason, PausedReason, RunningReason, ShutdownReason, ShutoffReason, State
from vmherd.errors import Busy, DomainNotFound, HypervisorError
from vmherd.events import DomainEvent, Lifecycle
from vmherd.hypervisors.qemu.cards import notes
from vmherd.hypervisors.qemu.folders import Folders
from vmherd.hypervisors.qemu.hotplug import journal
from vmherd.hypervisors.qemu.monitor import Monitor, connected
from vmherd.state.domains import DomainTable, Entry, Live, Writing, mark_stopped, set_state
from vmherd.state.jobs import Jobs
from vmherd.util.files import on_host
from vmherd.util.process import ProcessId, end, find_by_argument, identify, is_alive, is_stopped

#: virDomainEventStoppedDetailType by the reason of the end.
_STOPPED = {
    ShutoffReason.SHUTDOWN: 0,
    ShutoffReason.DESTROYED: 1,
    ShutoffReason.CRASHED: 2,
    ShutoffReason.SAVED: 4,
    ShutoffReason.FAILED: 5,
}
#: virDomainEventSuspendedDetailType by the reason of the pause.
_SUSPENDED = {PausedReason.IOERROR: 2, PausedReason.WATCHDOG: 3}

#: QEMU's run states (qapi/run-state.json) as libvirt's states.
_STATUS = {
    "running": (State.RUNNING, RunningReason.UNKNOWN),
    "paused": (State.PAUSED, PausedReason.UNKNOWN),
    "finish-migrate": (State.PAUSED, PausedReason.UNKNOWN),
    "postmigrate": (State.PAUSED, PausedReason.UNKNOWN),
    "io-error": (State.PAUSED, PausedReason.IOERROR),
    "watchdog": (State.PAUSED, PausedReason.WATCHDOG),
    "guest-panicked": (State.CRASHED, CrashedReason.PANICKED),
    "internal-error": (State.PAUSED, PausedReason.UNKNOWN),
    "shutdown": (State.SHUTDOWN, ShutdownReason.UNKNOWN),
    "suspended": (State.PMSUSPENDED, 0),
}

#: Jobs that clear away a start that broke off; one that has just begun does not tell its name yet.
_CLEARING = ("recover", "unknown")
#: Seconds that somebody else may need to bring a start that broke off to an end.
_RECOVERY = 5.0
#: Seconds that a device which has left may wait for a job to end until it is taken out of the document.
_LONG = 24 * 3600.0

Change = Callable[[Entry, Live], "list[DomainEvent] | None"]
When = Callable[[Live], bool]


def pause_reason(status: str) -> PausedReason | None:
    """Why a guest of that run state stands still; None for one that runs, or stands still since it has ended."""
    state, reason = _STATUS.get(status, (State.PAUSED, PausedReason.UNKNOWN))
    return PausedReason(reason) if state is State.PAUSED else None


def process_of(live: Live) -> ProcessId:
    return ProcessId(live.pid, live.started, live.boot)


class Life:
    """The lives of the guests of one table."""

    def __init__(self, table: DomainTable, folders: Folders, jobs: Jobs) -> None:
        self.table = table
        self._folders = folders
        self._jobs = jobs
        self._endings = Jobs(folders.endings)

    def change(self, uuid: str, run: int, step: Change, *, when: When = lambda _: True, durable: bool = False) -> None:
        """Apply ``step`` if that run of the domain (its id) is still the present one, and ``when`` holds for it.

        Both are looked at before, too, lest everybody wait for a lock that is taken for nothing.
        """
        known = self.current(uuid, run)
        if known is None or not when(known):
            return

        def mutate(entry: Entry) -> list[DomainEvent] | None:
            if entry.live is None or entry.live.id != run or not when(entry.live):
                return None
            return step(entry, entry.live)

        with suppress(DomainNotFound):
            self.table.change(uuid, mutate, durable=durable)

    def current(self, uuid: str, run: int) -> Live | None:
        """That run of the domain as it is now; None if it is over."""
        with suppress(DomainNotFound):
            live = self.table.get(uuid).live
            if live and live.id == run:
                return live
        return None

    def resumed(self, uuid: str, run: int) -> None:
        """The vCPUs run.  While the guest's state is written, only who writes it says so (`put_right`)."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            woken = live.state is State.PMSUSPENDED
            set_state(live, State.RUNNING, RunningReason.WAKEUP if woken else RunningReason.UNPAUSED)
            return [entry.event(Lifecycle.STARTED, 4) if woken else entry.event(Lifecycle.RESUMED)]

        def when(live: Live) -> bool:
            return live.ready and live.state is not State.RUNNING and live.writing is None

        self.change(uuid, run, step, when=when)

    def paused(self, uuid: str, run: int, reason: PausedReason) -> None:
        """The vCPUs stand still; what is known of it already counts more than an unknown reason."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            set_state(live, State.PAUSED, reason)
            return [entry.event(Lifecycle.SUSPENDED, _SUSPENDED.get(reason, 0))]

        self.change(uuid, run, step, when=lambda live: live.ready and live.state is State.RUNNING)

    def sleeping(self, uuid: str, run: int, *, disk: bool) -> None:
        """The guest put itself to sleep (ACPI S3) or hibernated (S4)."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            set_state(live, State.PMSUSPENDED, 0)
            return [entry.event(Lifecycle.PMSUSPENDED, int(disk))]

        self.change(uuid, run, step)

    def shutting_down(self, uuid: str, run: int, *, by_guest: bool) -> None:
        """The guest has shut down; its QEMU is still there."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            set_state(live, State.SHUTDOWN, ShutdownReason.USER)
            return [entry.event(Lifecycle.SHUTDOWN, 1 if by_guest else 2)]

        self.change(uuid, run, step, when=lambda live: live.state is not State.SHUTDOWN)

    def panicked(self, uuid: str, run: int) -> None:
        """The guest's kernel gave up."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            set_state(live, State.CRASHED, CrashedReason.PANICKED)
            return [entry.event(Lifecycle.CRASHED)]

        self.change(uuid, run, step, when=lambda live: live.state is not State.CRASHED)

    def started(self, uuid: str, run: int, *, paused: bool = False) -> None:
        """The start is complete; a managed image that the guest goes on from counts no more from then on."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            live.ready = True
            if live.restored_from == str(self._folders.saved(entry.name)):
                entry.record.saved = False
            begun = entry.event(Lifecycle.STARTED, 2 if live.restored_from else 0)
            if paused:
                set_state(live, State.PAUSED, PausedReason.MIGRATION if live.restored_from else PausedReason.USER)
                return [begun, entry.event(Lifecycle.SUSPENDED, 4 if live.restored_from else 0)]
            # libvirt tells, before or after, that the vCPUs were let go, too.
            if live.restored_from:
                set_state(live, State.RUNNING, RunningReason.RESTORED)
                return [begun, entry.event(Lifecycle.RESUMED, 2)]
            set_state(live, State.RUNNING, RunningReason.BOOTED)
            return [entry.event(Lifecycle.RESUMED), begun]

        known = self.current(uuid, run)
        restored = known is not None and bool(known.restored_from)
        self.change(uuid, run, step, when=lambda live: not live.ready, durable=restored)

    def restarted(self, uuid: str, run: int) -> None:
        """The machine begins anew."""

        def step(_: Entry, live: Live) -> list[DomainEvent]:
            set_state(live, State.RUNNING, RunningReason.BOOTED)
            live.restart = False
            return []

        self.change(uuid, run, step)

    def expect_restart(self, uuid: str, run: int, expected: bool) -> None:
        """Note whether the next shutdown of the guest is half of a reboot."""

        def step(_: Entry, live: Live) -> list[DomainEvent]:
            live.restart = expected
            return []

        self.change(uuid, run, step, when=lambda live: live.restart is not expected)

    def will_stop(self, uuid: str, run: int, reason: ShutoffReason) -> None:
        """Note why the process is about to end; the first reason counts."""

        def step(_: Entry, live: Live) -> list[DomainEvent]:
            live.stop_reason = reason
            return []

        self.change(uuid, run, step, when=lambda live: live.stop_reason is None)

    async def ended(self, uuid: str, run: int) -> None:
        """The process is gone: clear its things away, and then say why it ended.

        Raises Busy where somebody else takes too long over the same.
        """
        if self.current(uuid, run) is not None:
            # Brought to its end even if whoever wants it goes away: the clearing cannot be stopped half-way.
            await asyncio.shield(asyncio.ensure_future(self._end(uuid, run)))

    async def _end(self, uuid: str, run: int) -> None:
        # Only one clears, and nobody can start the guest again before it is noted as stopped.
        async with self._endings.hold(uuid, "clear away"):
            live = self.current(uuid, run)
            if live is None:
                return
            if notes.is_there(self._folders.guest(uuid)):
                from vmherd.hypervisors.qemu.cards import release  # most guests have nothing of it

                await release.all_of(self._folders.guest(uuid))
            with on_host("clear away what the guest leaves"):
                await asyncio.to_thread(_clear, self._folders, self.table.get(uuid), live)
            self.change(uuid, run, _note_end)

    async def stop(self, uuid: str, live: Live, reason: ShutoffReason, *, force: bool = True) -> bool:
        """End the process on purpose; whether it ended (without ``force`` it may refuse)."""
        self.will_stop(uuid, live.id, reason)
        if not await end(process_of(live), force=force):
            return False
        await self.ended(uuid, live.id)
        return True

    def abandoned(self, entry: Entry) -> bool:
        """Whether a start is noted that nobody is busy with any more, but for clearing it away."""
        if entry.live is None or entry.live.ready:
            return False
        job = self._jobs.info(entry.uuid)
        return job is None or job.operation in _CLEARING

    async def _roll_back(self, entry: Entry, live: Live) -> None:
        process = process_of(live)
        if not live.pid:
            # Killed between starting QEMU and noting its pid: its command line names its pid file.
            pid = find_by_argument(str(self._folders.pidfile(entry.uuid)))
            process = (identify(pid) if pid else None) or process
        await end(process)
        self.will_stop(entry.uuid, live.id, ShutoffReason.FAILED)
        await self.ended(entry.uuid, live.id)

    def writing(self, uuid: str, run: int, writing: Writing | None) -> None:
        """Note that the guest's state is being written, or no more."""

        def step(_: Entry, live: Live) -> list[DomainEvent]:
            live.writing = writing
            return []

        self.change(uuid, run, step)

    def saved(self, uuid: str, run: int, *, managed: bool) -> None:
        """The guest's state is in a file: from now on it is that, and its process only has to end."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            live.stop_reason = ShutoffReason.SAVED
            entry.record.saved = entry.record.saved or managed
            return []

        self.change(uuid, run, step, durable=True)

    def interrupted(self, entry: Entry) -> bool:
        """Whether somebody who is no more was writing the guest's state to a file, or plugging a device in."""
        if entry.live is None or not entry.live.ready or self._jobs.held(entry.uuid):
            return False
        return entry.live.writing is not None or journal.is_there(self._folders.guest(entry.uuid))

    def broken_off(self, entry: Entry) -> bool:
        """Whether somebody who is no more was starting the guest, or writing its state to a file."""
        return self.abandoned(entry) or self.interrupted(entry)

    async def put_right(self, uuid: str) -> None:
        """Bring to an end what somebody left half-done: all of it, or nothing.

        Only who holds the domain's job may call it.  Raises HypervisorError if QEMU does not answer.
        """
        entry = self.table.get(uuid)
        live = entry.live
        if live and live.ready and journal.is_there(self._folders.guest(uuid)):
            from vmherd.hypervisors.qemu.hotplug import reconcile

            await reconcile.settle(self.table, self._folders, entry)
        if live is None or live.writing is None:
            return
        if live.stop_reason is ShutoffReason.SAVED:
            await self.stop(uuid, live, ShutoffReason.SAVED)
            return
        from vmherd.hypervisors.qemu.saved import image, transfer

        await transfer.cancel(lambda: connected(self._folders.control(uuid)))
        if live.writing.path:
            with on_host("remove the unfinished image"):
                image.discard(Path(live.writing.path))
        if live.writing.resume and live.state in (State.PAUSED, State.RUNNING):
            async with connected(self._folders.control(uuid)) as monitor:
                await monitor.execute("cont")
        self._unwritten(uuid, live)

    def _unwritten(self, uuid: str, was: Live) -> None:
        """The guest is as it was before its state was written."""

        def step(entry: Entry, live: Live) -> list[DomainEvent]:
            told = []
            if live.writing and live.writing.resume and live.state in (State.PAUSED, State.RUNNING):
                told = [] if live.state is State.RUNNING else [entry.event(Lifecycle.RESUMED)]
                set_state(live, State.RUNNING, live.writing.cancelled)
            live.writing = None
            return told

        self.change(uuid, was.id, step)

    async def forget_devices(self, uuid: str, run: int, alias: str = "") -> None:
        """Take out of its document what that run of a guest has let go: one device, or all that QEMU has no more."""
        from vmherd.hypervisors.qemu.hotplug import reconcile

        async with self._jobs.hold(uuid, "clear-device", patience=_LONG):
            if self.current(uuid, run):
                await reconcile.forget(self.table, self._folders, self.table.get(uuid), alias)

    async def reconcile(self, entry: Entry, live: Live, monitor: Monitor) -> None:
        """Make the record tell what QEMU tells, after a time when nobody listened.

        Who holds the domain's job may be about to stop its vCPUs or to let them go, and notes that first.
        """
        status = (await monitor.execute("query-status"))["status"]
        state, reason = _STATUS.get(status, (State.NOSTATE, 0))
        if state in (State.RUNNING, State.PAUSED) and self._jobs.held(entry.uuid):
            return
        match state:
            case State.RUNNING:
                self.resumed(entry.uuid, live.id)
            case State.PAUSED:  # one that never ran is none: whoever starts it tells how it goes on
                self.paused(entry.uuid, live.id, PausedReason(reason))
            case State.SHUTDOWN:
                self.shutting_down(entry.uuid, live.id, by_guest=True)
            case State.CRASHED:
                self.panicked(entry.uuid, live.id)
            case State.PMSUSPENDED:
                self.sleeping(entry.uuid, live.id, disk=False)

    async def attend(self, entry: Entry) -> None:
        """Find out how a guest is that nobody looked after."""
        if entry.live is None:
            return
        if self.abandoned(entry):
            # Whoever else is about to do the same has the job; once it is done we see what became of it.
            with suppress(Busy):
                async with self._jobs.hold(entry.uuid, _CLEARING[0], patience=_RECOVERY):
                    await self._settle_start(self.table.get(entry.uuid))
        elif self.gone(entry):
            await self.ended(entry.uuid, entry.live.id)
        elif self.interrupted(entry):
            with suppress(Busy, HypervisorError):
                async with self._jobs.hold(entry.uuid, _CLEARING[0], patience=_RECOVERY):
                    await self.put_right(entry.uuid)
        elif entry.live.ready and not is_stopped(entry.live.pid):
            with suppress(HypervisorError):
                async with connected(self._folders.control(entry.uuid), patience=1.0) as monitor:
                    await self.reconcile(entry, entry.live, monitor)

    async def _settle_start(self, entry: Entry) -> None:
        """A start broke off half-way: a guest that runs already is kept, any other cleared away."""
        live = entry.live
        if live is None or live.ready:
            return
        with suppress(HypervisorError):
            async with connected(self._folders.control(entry.uuid), patience=2.0) as monitor:
                if (await monitor.execute("query-status"))["status"] == "running":
                    self.started(entry.uuid, live.id)
                    return
        await self._roll_back(entry, live)

    def gone(self, entry: Entry) -> bool:
        """Whether the record says that it runs while its process is no more."""
        return entry.live is not None and entry.live.pid > 0 and not is_alive(process_of(entry.live))


def _note_end(entry: Entry, live: Live) -> list[DomainEvent]:
    reason = _reason(live)
    # libvirt tells that the host shut the machine down, as it hears from QEMU.
    shut = reason is ShutoffReason.DESTROYED and live.ready and live.state is not State.SHUTDOWN
    mark_stopped(entry.record, reason)
    before = [entry.event(Lifecycle.SHUTDOWN, 2)] if shut else []
    return [*before, entry.event(Lifecycle.STOPPED, _STOPPED[reason])]


def _clear(folders: Folders, entry: Entry, live: Live) -> None:
    from vmherd.hypervisors.qemu.clearing import clear  # it knows everything that a guest can have

    clear(folders, entry, live, _reason(live))


def _reason(live: Live) -> ShutoffReason:
    return _unasked_end(live) if live.stop_reason is None else live.stop_reason


def _unasked_end(live: Live) -> ShutoffReason:
    if not live.ready:
        return ShutoffReason.FAILED
    return ShutoffReason.SHUTDOWN if live.state is State.SHUTDOWN else ShutoffReason.CRASHED
