"""Domains: a guest that runs, or its definition, or both."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmherd.api.aio.agent import Agent
from vmherd.api.aio.blocks import Blocks, Cards
from vmherd.api.aio.control import Control
from vmherd.api.aio.devices import Devices
from vmherd.api.aio.screen import Screen
from vmherd.api.aio.tuning import Tuning
from vmherd.driver.blocks import DomainStats
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.saving import DumpFormat
from vmherd.driver.types import Console, DomainInfo, JobInfo, ShutdownMode, State
from vmherd.errors import Busy, DomainNotFound
from vmherd.events import Lifecycle, LifecycleEvent
from vmherd.util.paths import absolute


class Domain:
    """A domain: a guest that runs, or its definition, or both."""

    def __init__(self, driver: HypervisorDriver, info: DomainInfo) -> None:
        self._driver = driver
        self.uuid = info.uuid
        self.name = info.name

    @property
    def devices(self) -> Devices:
        """Its devices: attach, detach, change."""
        return Devices(self._driver, self.uuid)

    @property
    def tuning(self) -> Tuning:
        """What this domain gets of its host: vCPUs, memory, CPU time, bandwidth."""
        return Tuning(self._driver, self.uuid)

    @property
    def screen(self) -> Screen:
        """What it shows, its keyboard and its displays."""
        return Screen(self._driver, self.uuid)

    @property
    def agent(self) -> Agent:
        """The agent in the guest: what only somebody inside can tell and do."""
        return Agent(self._driver, self.uuid)

    @property
    def control(self) -> Control:
        """Metadata, jobs, sleep, and the hypervisor's own monitor."""
        return Control(self._driver, self.uuid)

    async def rename(self, name: str) -> Domain:
        """Give this domain, which must not run, another name, and return it; InvalidState if that is taken."""
        await self._driver.domain_rename(self.uuid, name)
        return Domain(self._driver, await self._driver.domain_find(self.uuid))

    async def info(self) -> DomainInfo:
        """State, memory, vCPUs and CPU time as they are now."""
        return await self._driver.domain_info(self.uuid)

    async def state(self) -> State:
        """The state, without asking the guest."""
        return (await self._driver.domain_find(self.uuid)).state

    async def stats(self, groups: int = 0, *, backing: bool = False) -> DomainStats:
        """Counters by libvirt's names, of all groups or of some StatsGroup; ``Host.stats`` tells those of many guests.

        With ``backing`` those of the images below the disks, too.  Raises DomainNotFound.
        """
        found = await self._driver.stats_all([self.uuid], groups, backing=backing)
        if not found:
            raise DomainNotFound(self.uuid)
        return found[0]

    @property
    def blocks(self) -> Blocks:
        """Its disks, and what is in them."""
        return Blocks(self._driver, self.uuid)

    @property
    def cards(self) -> Cards:
        """Its network cards."""
        return Cards(self._driver, self.uuid)

    async def xml(self, *, inactive: bool = False, secure: bool = False) -> str:
        """The document as the guest runs now, or with ``inactive`` as it will start next time.

        Passwords are left out unless ``secure``.
        """
        return await self._driver.domain_xml(self.uuid, inactive=inactive, secure=secure)

    async def undefine(self, *, keep_nvram: bool | None = None, managed_save: bool = False) -> None:
        """Forget the definition.  A running guest runs on and becomes transient.

        ``keep_nvram`` says what becomes of its file of UEFI variables; by default one that exists is an error.  So is
        a managed image, unless ``managed_save`` has it removed.
        """
        await self._driver.domain_undefine(self.uuid, keep_nvram=keep_nvram, managed_save=managed_save)

    async def start(
        self,
        *,
        paused: bool = False,
        force_boot: bool = False,
        bypass_cache: bool = False,
        reset_nvram: bool = False,
    ) -> None:
        """Boot, or go on from a managed image; return once the hypervisor runs the guest.

        With ``paused`` its vCPUs wait for ``resume``.  ``force_boot`` throws a managed image away, ``bypass_cache``
        reads it past the host's cache.  ``reset_nvram`` begins with fresh UEFI variables.
        """
        await self._driver.domain_start(
            self.uuid, paused=paused, force_boot=force_boot, bypass_cache=bypass_cache, reset_nvram=reset_nvram
        )

    async def save(
        self, path: str | Path, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None
    ) -> None:
        """Write the running guest to a file of the host, and end it; ``Host.restore`` lets it go on.

        A failure or an abort lets it run on.  ``xml`` replaces its document, where the guest sees no difference;
        ``running`` says how it goes on, by default as it is now; ``bypass_cache`` writes past the host's cache.
        """
        await self._driver.domain_save(self.uuid, absolute(path), xml=xml, bypass_cache=bypass_cache, running=running)

    async def managed_save(self, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None) -> None:
        """Save the running guest where its next start finds it and goes on from.  For the rest see ``save``."""
        await self._driver.domain_managed_save(self.uuid, xml=xml, bypass_cache=bypass_cache, running=running)

    async def remove_managed_save(self) -> None:
        """Forget the managed image, so that the guest boots next time.  Raises HostError if there is none."""
        await self._driver.domain_managed_save_remove(self.uuid)

    async def managed_save_xml(self, *, secure: bool = False) -> str:
        """The document in the managed image; raises InvalidState if there is none."""
        return await self._driver.domain_managed_save_xml(self.uuid, secure=secure)

    async def define_managed_save(self, xml: str, *, running: bool | None = None) -> None:
        """Replace the document in the managed image, where the guest sees no difference."""
        await self._driver.domain_managed_save_define(self.uuid, xml, running=running)

    async def dump(
        self,
        path: str | Path,
        *,
        dump_format: DumpFormat = DumpFormat.RAW,
        memory_only: bool = False,
        crash: bool = False,
        live: bool = False,
        reset: bool = False,
        bypass_cache: bool = False,
    ) -> None:
        """Write the running guest's memory to a file of the host; the guest goes on afterwards.

        ``memory_only`` writes what debuggers read, in ``dump_format``; else it is the hypervisor's own.
        ``crash`` ends the guest afterwards, ``reset`` resets it, ``live`` lets it run meanwhile where that can be.
        """
        await self._driver.domain_dump(
            self.uuid,
            absolute(path),
            dump_format=dump_format,
            memory_only=memory_only,
            crash=crash,
            live=live,
            reset=reset,
            bypass_cache=bypass_cache,
        )

    async def shutdown(self, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        """Ask the guest to shut down; returns once it was asked.  ``wait_stopped`` waits for the end."""
        await self._driver.domain_shutdown(self.uuid, mode=mode)

    async def reboot(self, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        """Ask the guest to reboot; returns once it was asked."""
        await self._driver.domain_reboot(self.uuid, mode=mode)

    async def reset(self) -> None:
        """Press the reset button."""
        await self._driver.domain_reset(self.uuid)

    async def poweroff(self, *, graceful: bool = False) -> None:
        """Pull the plug.  ``graceful`` lets the hypervisor flush its disks first, and raises Busy if it won't end."""
        await self._driver.domain_poweroff(self.uuid, graceful=graceful)

    async def suspend(self) -> None:
        """Stop the vCPUs; memory stays."""
        await self._driver.domain_suspend(self.uuid)

    async def resume(self) -> None:
        """Let the vCPUs run again."""
        await self._driver.domain_resume(self.uuid)

    async def set_autostart(self, enabled: bool) -> None:
        """Start this domain with the host, or no more."""
        await self._driver.domain_set_autostart(self.uuid, enabled)

    async def job(self) -> JobInfo | None:
        """The job that holds this domain now."""
        return await self._driver.domain_job(self.uuid)

    async def abort_job(self) -> None:
        """Ask the job that holds this domain to stop; InvalidState if none does."""
        await self._driver.domain_abort_job(self.uuid)

    async def open_console(self, *, device: str = "", force: bool = False) -> Console:
        """Both directions of the first serial or console, or of the device with alias ``device``.

        Raises Busy if somebody else has it, unless ``force`` takes it from them.
        """
        return await self._driver.domain_console(self.uuid, device=device, force=force)

    async def open_channel(self, *, name: str = "", force: bool = False) -> Console:
        """Both directions of a channel, by its alias or the name its port has in the guest; the first without one.

        Raises Busy if somebody else has it, unless ``force`` takes it from them.
        """
        return await self._driver.domain_channel(self.uuid, name=name, force=force)

    async def wait_stopped(self, timeout: float | None = None) -> None:
        """Return once the domain does not run (or is gone); raise Busy after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout), await self._driver.events(LifecycleEvent) as events:
                if not await self._active():
                    return
                async for event in events:
                    assert isinstance(event, LifecycleEvent)  # no others were asked for
                    if event.uuid == self.uuid and event.event is Lifecycle.STOPPED:
                        return
        except TimeoutError:
            raise Busy(
                f"domain {self.name!r} still runs after {timeout:g} s",
                hint=f"the guest may ignore the request; 'vmherd poweroff {self.name}' pulls the plug",
            ) from None

    async def _active(self) -> bool:
        try:
            return (await self._driver.domain_find(self.uuid)).active
        except DomainNotFound:
            return False
