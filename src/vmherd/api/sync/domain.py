"""Domains: a guest that runs, or its definition, or both.

Generated from aio/domain.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from pathlib import Path

from vmherd.api import aio, bridge
from vmherd.api.bridge import Console
from vmherd.api.sync.agent import Agent
from vmherd.api.sync.blocks import Blocks, Cards
from vmherd.api.sync.control import Control
from vmherd.api.sync.devices import Devices
from vmherd.api.sync.screen import Screen
from vmherd.api.sync.tuning import Tuning
from vmherd.driver.blocks import DomainStats
from vmherd.driver.saving import DumpFormat
from vmherd.driver.types import DomainInfo, JobInfo, ShutdownMode, State


class Domain:
    """A domain: a guest that runs, or its definition, or both."""

    def __init__(self, wrapped: aio.Domain) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.uuid = wrapped.uuid
        self.name = wrapped.name

    @property
    def devices(self) -> Devices:
        """Its devices: attach, detach, change."""
        return Devices(self._wrapped.devices)

    @property
    def tuning(self) -> Tuning:
        """What this domain gets of its host: vCPUs, memory, CPU time, bandwidth."""
        return Tuning(self._wrapped.tuning)

    @property
    def screen(self) -> Screen:
        """What it shows, its keyboard and its displays."""
        return Screen(self._wrapped.screen)

    @property
    def agent(self) -> Agent:
        """The agent in the guest: what only somebody inside can tell and do."""
        return Agent(self._wrapped.agent)

    @property
    def control(self) -> Control:
        """Metadata, jobs, sleep, and the hypervisor's own monitor."""
        return Control(self._wrapped.control)

    def rename(self, name: str) -> Domain:
        """Give this domain, which must not run, another name, and return it; InvalidState if that is taken."""
        return Domain(self._loop.run(self._wrapped.rename(name)))

    def info(self) -> DomainInfo:
        """State, memory, vCPUs and CPU time as they are now."""
        return self._loop.run(self._wrapped.info())

    def state(self) -> State:
        """The state, without asking the guest."""
        return self._loop.run(self._wrapped.state())

    def stats(self, groups: int = 0, *, backing: bool = False) -> DomainStats:
        """Counters by libvirt's names, of all groups or of some StatsGroup; ``Host.stats`` tells those of many guests.

        With ``backing`` those of the images below the disks, too.  Raises DomainNotFound.
        """
        return self._loop.run(self._wrapped.stats(groups, backing=backing))

    @property
    def blocks(self) -> Blocks:
        """Its disks, and what is in them."""
        return Blocks(self._wrapped.blocks)

    @property
    def cards(self) -> Cards:
        """Its network cards."""
        return Cards(self._wrapped.cards)

    def xml(self, *, inactive: bool = False, secure: bool = False) -> str:
        """The document as the guest runs now, or with ``inactive`` as it will start next time.

        Passwords are left out unless ``secure``.
        """
        return self._loop.run(self._wrapped.xml(inactive=inactive, secure=secure))

    def undefine(self, *, keep_nvram: bool | None = None, managed_save: bool = False) -> None:
        """Forget the definition.  A running guest runs on and becomes transient.

        ``keep_nvram`` says what becomes of its file of UEFI variables; by default one that exists is an error.  So is
        a managed image, unless ``managed_save`` has it removed.
        """
        self._loop.run(self._wrapped.undefine(keep_nvram=keep_nvram, managed_save=managed_save))

    def start(
        self, *, paused: bool = False, force_boot: bool = False, bypass_cache: bool = False, reset_nvram: bool = False
    ) -> None:
        """Boot, or go on from a managed image; return once the hypervisor runs the guest.

        With ``paused`` its vCPUs wait for ``resume``.  ``force_boot`` throws a managed image away, ``bypass_cache``
        reads it past the host's cache.  ``reset_nvram`` begins with fresh UEFI variables.
        """
        self._loop.run(
            self._wrapped.start(
                paused=paused, force_boot=force_boot, bypass_cache=bypass_cache, reset_nvram=reset_nvram
            )
        )

    def save(self, path: str | Path, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None) -> None:
        """Write the running guest to a file of the host, and end it; ``Host.restore`` lets it go on.

        A failure or an abort lets it run on.  ``xml`` replaces its document, where the guest sees no difference;
        ``running`` says how it goes on, by default as it is now; ``bypass_cache`` writes past the host's cache.
        """
        self._loop.run(self._wrapped.save(path, xml=xml, bypass_cache=bypass_cache, running=running))

    def managed_save(self, *, xml: str = "", bypass_cache: bool = False, running: bool | None = None) -> None:
        """Save the running guest where its next start finds it and goes on from.  For the rest see ``save``."""
        self._loop.run(self._wrapped.managed_save(xml=xml, bypass_cache=bypass_cache, running=running))

    def remove_managed_save(self) -> None:
        """Forget the managed image, so that the guest boots next time.  Raises HostError if there is none."""
        self._loop.run(self._wrapped.remove_managed_save())

    def managed_save_xml(self, *, secure: bool = False) -> str:
        """The document in the managed image; raises InvalidState if there is none."""
        return self._loop.run(self._wrapped.managed_save_xml(secure=secure))

    def define_managed_save(self, xml: str, *, running: bool | None = None) -> None:
        """Replace the document in the managed image, where the guest sees no difference."""
        self._loop.run(self._wrapped.define_managed_save(xml, running=running))

    def dump(
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
        self._loop.run(
            self._wrapped.dump(
                path,
                dump_format=dump_format,
                memory_only=memory_only,
                crash=crash,
                live=live,
                reset=reset,
                bypass_cache=bypass_cache,
            )
        )

    def shutdown(self, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        """Ask the guest to shut down; returns once it was asked.  ``wait_stopped`` waits for the end."""
        self._loop.run(self._wrapped.shutdown(mode=mode))

    def reboot(self, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        """Ask the guest to reboot; returns once it was asked."""
        self._loop.run(self._wrapped.reboot(mode=mode))

    def reset(self) -> None:
        """Press the reset button."""
        self._loop.run(self._wrapped.reset())

    def poweroff(self, *, graceful: bool = False) -> None:
        """Pull the plug.  ``graceful`` lets the hypervisor flush its disks first, and raises Busy if it won't end."""
        self._loop.run(self._wrapped.poweroff(graceful=graceful))

    def suspend(self) -> None:
        """Stop the vCPUs; memory stays."""
        self._loop.run(self._wrapped.suspend())

    def resume(self) -> None:
        """Let the vCPUs run again."""
        self._loop.run(self._wrapped.resume())

    def set_autostart(self, enabled: bool) -> None:
        """Start this domain with the host, or no more."""
        self._loop.run(self._wrapped.set_autostart(enabled))

    def job(self) -> JobInfo | None:
        """The job that holds this domain now."""
        return self._loop.run(self._wrapped.job())

    def abort_job(self) -> None:
        """Ask the job that holds this domain to stop; InvalidState if none does."""
        self._loop.run(self._wrapped.abort_job())

    def open_console(self, *, device: str = "", force: bool = False) -> Console:
        """Both directions of the first serial or console, or of the device with alias ``device``.

        Raises Busy if somebody else has it, unless ``force`` takes it from them.
        """
        return Console(self._loop.run(self._wrapped.open_console(device=device, force=force)))

    def open_channel(self, *, name: str = "", force: bool = False) -> Console:
        """Both directions of a channel, by its alias or the name its port has in the guest; the first without one.

        Raises Busy if somebody else has it, unless ``force`` takes it from them.
        """
        return Console(self._loop.run(self._wrapped.open_channel(name=name, force=force)))

    def wait_stopped(self, timeout: float | None = None) -> None:
        """Return once the domain does not run (or is gone); raise Busy after ``timeout`` seconds."""
        self._loop.run(self._wrapped.wait_stopped(timeout))
