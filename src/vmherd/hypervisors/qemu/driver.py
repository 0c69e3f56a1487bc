"""The QEMU driver: guests as QEMU processes that outlive whoever started them.

The order of each operation is here; how it is done, in the modules beside.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from vmherd.driver.types import (
    ANY_GUESTS,
    CpuComparison,
    CpuModelInfo,
    DomainInfo,
    GuestKind,
    HostCheck,
    HostCpuInfo,
    JobInfo,
    PausedReason,
    ShutdownMode,
    ShutoffReason,
    State,
)
from vmherd.driver.uri import ConnectURI
from vmherd.errors import Busy, HypervisorError, InvalidState, VmherdError
from vmherd.hypervisors.qemu.folders import for_uri
from vmherd.hypervisors.qemu.operations.agent import QemuAgent
from vmherd.hypervisors.qemu.operations.blocks import QemuBlocks
from vmherd.hypervisors.qemu.operations.control import QemuControl
from vmherd.hypervisors.qemu.operations.devices import QemuDevices
from vmherd.hypervisors.qemu.operations.host import QemuHost
from vmherd.hypervisors.qemu.operations.saving import QemuSaving
from vmherd.hypervisors.qemu.operations.screen import QemuScreen
from vmherd.hypervisors.qemu.operations.tuning import QemuTuning
from vmherd.state.domains import Entry, Live
from vmherd.util.files import on_host
from vmherd.util.process import boot_id, cpu_times

if TYPE_CHECKING:
    from vmherd.conf.domain import Domain

log = logging.getLogger("vmherd.qemu")

#: Seconds that an agent gets to say that it is there, before the power button is pressed.
_HEARTBEAT = 2


class QemuDriver(
    QemuHost,
    QemuDevices,
    QemuSaving,
    QemuScreen,
    QemuTuning,
    QemuBlocks,
    QemuAgent,
    QemuControl,
):
    """One connection to the guests of one set of folders: opening it, and the lives of its guests."""

    _autostarting: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, uri: ConnectURI, *, readonly: bool = False) -> Self:
        driver = cls(uri, for_uri(uri), readonly=readonly)
        await driver._attend()
        if not readonly:
            driver._autostarting = asyncio.create_task(driver._autostart())
        return driver

    async def close(self) -> None:
        if self._autostarting:
            await self._autostarting  # whoever else connects relies on us for it
        await super().close()

    async def _autostart(self) -> None:
        """Start what shall start with the host; the first connection after its boot does it, and waits for nothing."""
        mark = self._folders.run / f"autostarted-{boot_id()}"
        wanted = [entry for entry in self.table.all() if entry.record.autostart and not entry.live]
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return
        if wanted:
            await self.open_resources()
        turn = asyncio.Semaphore(os.cpu_count() or 1)

        async def start(entry: Entry) -> None:
            async with turn:
                try:
                    await self.domain_start(entry.uuid)
                except VmherdError as problem:
                    log.warning("cannot start %r by itself: %s", entry.name, problem)

        await asyncio.gather(*(start(entry) for entry in wanted))

    async def version(self) -> dict[str, str]:
        return {"QEMU": await self._workshop.version()}

    async def capabilities(self) -> str:
        return await self._workshop.capabilities_document()

    async def check_host(self) -> list[HostCheck]:
        from vmherd.hypervisors.qemu.host import doctor

        return await doctor.checks(self._folders)

    async def domain_capabilities(
        self, *, emulator: str = "", arch: str = "", machine: str = "", domain_type: str = ""
    ) -> str:
        return await self._workshop.domain_capabilities(emulator, arch, machine, domain_type)

    async def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        return (await self._workshop.cpus(arch)).models()

    async def cpu_features(self, model: str) -> list[str]:
        from vmherd.hypervisors.qemu import cpus

        return cpus.features(model)

    async def cpu_host(self) -> HostCpuInfo:
        return (await self._workshop.cpus()).host()

    async def cpu_compare(self, xml: str, *, guests: GuestKind = ANY_GUESTS) -> CpuComparison:
        return (await self._workshop.cpus_for(guests)).compare(xml)

    async def cpu_baseline(
        self,
        documents: Sequence[str],
        *,
        expand: bool = False,
        migratable: bool = False,
        guests: GuestKind = ANY_GUESTS,
    ) -> str:
        cpus = await self._workshop.cpus_for(guests)
        return cpus.baseline(documents, expand=expand, migratable=migratable)

    async def images_folder(self) -> Path:
        return self._folders.images

    async def domain_undefine(self, uuid: str, *, keep_nvram: bool | None = None, managed_save: bool = False) -> None:
        self.require_writable()
        variables = self._workshop.variables(self.table.get(uuid).record.config)
        if variables and keep_nvram is None:
            raise InvalidState(
                f"the guest has UEFI variables in {variables}", hint="--nvram removes, --keep-nvram keeps"
            )
        if variables and not keep_nvram:
            with on_host("remove the guest's UEFI variables"):
                variables.unlink(missing_ok=True)
        entry = self.table.get(uuid)
        await super().domain_undefine(uuid, managed_save=managed_save)
        self._remove_managed(entry)
        if entry.live is None:  # else it is forgotten when it ends
            self._workshop.forget_tpm(uuid, entry.record.config or "")

    # Lifecycle

    async def domain_create(self, xml: str, *, paused: bool = False) -> DomainInfo:
        self.require_writable()
        domain = await self.read(xml)
        assert domain.uuid is not None  # `read` gives one
        async with self._jobs.hold(domain.uuid, "start"):
            await self._start(None, domain, paused=paused)
        return self.table.get(domain.uuid).info

    async def domain_start(
        self,
        uuid: str,
        *,
        paused: bool = False,
        force_boot: bool = False,
        bypass_cache: bool = False,
        reset_nvram: bool = False,
    ) -> None:
        self.require_writable()
        async with self._jobs.hold(uuid, "start"):
            entry = self.table.get(uuid)
            if entry.live:
                raise InvalidState(f"domain {entry.name!r} is already running")
            if entry.record.saved:
                if not force_boot and await self._go_on(entry, paused, bypass_cache, reset_nvram):
                    return
                self._forget_managed(entry)
            domain = self.definition(entry)
            # The definition was completed when it was made; the binary may have changed since.
            await self.accept(domain)
            await self._start(entry, domain, paused=paused, reset_nvram=reset_nvram)

    async def _start(self, entry: Entry | None, domain: Domain, *, paused: bool, reset_nvram: bool = False) -> None:
        await self._workshop.prepare(domain)
        _, live = self.begin(entry, domain)
        await self._workshop.start(domain, live, paused=paused, reset_nvram=reset_nvram)

    async def domain_shutdown(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        async with self._changing(uuid, "shutdown") as (entry, live):
            self._life.expect_restart(uuid, live.id, False)
            await self._press_power(entry, live, mode, "powerdown")

    async def domain_reboot(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        async with self._changing(uuid, "reboot") as (entry, live):
            # The power button knows no reboot: the guest shuts down, and the keeper resets it at the end.
            self._life.expect_restart(uuid, live.id, True)
            await self._press_power(entry, live, mode, "reboot")

    async def _press_power(self, entry: Entry, live: Live, mode: ShutdownMode, what: str) -> None:
        if mode is not ShutdownMode.ACPI and await self._ask_agent(entry.uuid, mode, what):
            return
        async with self._monitor(entry.uuid) as monitor:
            await monitor.execute("system_powerdown")

    async def _ask_agent(self, uuid: str, mode: ShutdownMode, what: str) -> bool:
        try:
            async with self._agent(uuid, timeout=_HEARTBEAT) as agent:
                await agent.go("guest-shutdown", {"mode": what}, patience=1.0)
        except VmherdError:
            if mode is ShutdownMode.AGENT:
                raise
            return False
        return True

    async def domain_reset(self, uuid: str) -> None:
        async with self._changing(uuid, "reset"), self._monitor(uuid) as monitor:
            await monitor.execute("system_reset")

    async def domain_poweroff(self, uuid: str, *, graceful: bool = False) -> None:
        self.require_writable()
        live = self._alive(self.table.get(uuid))
        if not live.pid and self._jobs.held(uuid):
            raise Busy("its start has just begun", hint="try again in a moment, or end the start with 'vmherd abort'")
        # No job: pulling the plug must work whatever else hangs.
        if not await self._life.stop(uuid, live, ShutoffReason.DESTROYED, force=not graceful):
            raise Busy("QEMU did not end by itself", hint="without 'graceful' it is killed")

    async def domain_suspend(self, uuid: str) -> None:
        async with self._changing(uuid, "suspend") as (_, live), self._monitor(uuid) as monitor:
            if live.state is State.PAUSED:
                return
            # Noted first, so that the keeper, who hears STOP, does not have to guess the reason.
            self._life.paused(uuid, live.id, PausedReason.USER)
            try:
                await monitor.execute("stop")
            except BaseException:
                self._life.resumed(uuid, live.id)
                raise

    async def domain_resume(self, uuid: str) -> None:
        async with self._changing(uuid, "resume") as (entry, live), self._monitor(uuid) as monitor:
            if live.state is State.RUNNING:
                raise InvalidState(f"domain {entry.name!r} is running already")
            if live.state is State.PMSUSPENDED:
                await monitor.execute("system_wakeup")
                return
            # Noted first: it may stop again at once, and the keeper, who hears that, must find it running.
            self._life.resumed(uuid, live.id)
            try:
                await monitor.execute("cont")
            except BaseException:
                self._life.paused(uuid, live.id, _reason(live))
                raise

    # What a guest tells

    async def domain_list(self) -> list[DomainInfo]:
        return [self._listed(entry) for entry in self.table.all()]

    def _listed(self, entry: Entry) -> DomainInfo:
        """No guest is asked; of one that is known not to answer it is said."""
        live = entry.live
        if live is None or not live.ready or not self._pulse.silent(entry.uuid, live):
            return entry.info
        return replace(entry.info, responding=False)

    async def domain_info(self, uuid: str) -> DomainInfo:
        entry = self.table.get(uuid)
        if entry.live is None or not entry.live.ready:
            return entry.info
        return await self._observed(entry, entry.live)

    async def _observed(self, entry: Entry, live: Live) -> DomainInfo:
        info = replace(entry.info, cpu_time=sum(cpu_times(live.pid)))
        try:
            (balloon,) = await self._pulse.ask(entry.uuid, live, [("query-balloon", None)])
        except HypervisorError:
            return replace(info, responding=False)
        return replace(info, memory=balloon["actual"] if balloon else info.memory)

    async def domain_job(self, uuid: str) -> JobInfo | None:
        return self._jobs.info(self.table.get(uuid).uuid)

    async def domain_abort_job(self, uuid: str) -> None:
        self.require_writable()
        self._jobs.abort(self.table.get(uuid).uuid)


def _reason(live: Live) -> PausedReason:
    return PausedReason(live.reason) if live.state is State.PAUSED else PausedReason.UNKNOWN
