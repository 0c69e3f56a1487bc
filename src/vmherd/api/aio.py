"""The asynchronous API: hosts and domains, over any driver.

The synchronous twin in ``sync.py`` is generated from this file (``tools/gensync.py``): every public coroutine
here becomes a blocking method there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Self

from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.registry import open_driver
from vmherd.driver.types import (
    Console,
    CpuComparison,
    CpuModelInfo,
    DomainInfo,
    DomainStats,
    HostCheck,
    HostCpuInfo,
    JobInfo,
    ShutdownMode,
    State,
)
from vmherd.driver.uri import default_uri, parse_uri
from vmherd.errors import Busy, DomainNotFound
from vmherd.events import DomainEvent, Lifecycle


async def connect(uri: str = "", *, readonly: bool = False) -> Host:
    """Open a host.

    Without ``uri`` it is ``VMHERD_DEFAULT_URI``, else qemu:///system for root and qemu:///session for
    everyone else.  Raises InvalidArgument for a bad URI, ConnectFailed where no driver answers it.
    """
    return Host(await open_driver(parse_uri(uri or default_uri()), readonly=readonly))


class Host:
    """An open connection to a hypervisor host.  Use it as a context manager, or ``close`` it."""

    def __init__(self, driver: HypervisorDriver) -> None:
        self._driver = driver
        self._closed = False

    @property
    def uri(self) -> str:
        return self._driver.uri.text

    @property
    def driver_name(self) -> str:
        return self._driver.name

    async def close(self) -> None:
        """Let go of the connection; guests run on.  Closing it twice is no mistake."""
        if not self._closed:
            self._closed = True
            await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def version(self) -> dict[str, str]:
        """Versions of what is behind the driver, such as {"QEMU": "7.2.22"}."""
        return await self._driver.version()

    async def hostname(self) -> str:
        """The name of the host the guests run on."""
        return await self._driver.hostname()

    async def capabilities(self) -> str:
        """The host's capabilities document, as XML."""
        return await self._driver.capabilities()

    async def domain_capabilities(
        self, *, emulator: str = "", arch: str = "", machine: str = "", domain_type: str = ""
    ) -> str:
        """What guests can have of one emulator and machine, as XML; what is not told is this host's best."""
        return await self._driver.domain_capabilities(
            emulator=emulator, arch=arch, machine=machine, domain_type=domain_type
        )

    async def check(self) -> list[HostCheck]:
        """What the driver needs of the host, each with what is missing and how to get it."""
        return await self._driver.check_host()

    async def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        """The CPU models that guests of an architecture, by default the host's, may name."""
        return await self._driver.cpu_models(arch)

    async def cpu_features(self, model: str) -> list[str]:
        """The features of a CPU model; raises DocumentError if there is none of that name."""
        return await self._driver.cpu_features(model)

    async def cpu(self) -> HostCpuInfo:
        """What the host's CPU is, and what guests get of it."""
        return await self._driver.cpu_host()

    async def compare_cpu(self, xml: str) -> CpuComparison:
        """The host's CPU against the one in a document: a <cpu>, a domain or a host's capabilities."""
        return await self._driver.cpu_compare(xml)

    async def baseline_cpu(self, documents: Sequence[str], *, expand: bool = False, migratable: bool = False) -> str:
        """The best CPU that the hosts of all documents can give their guests, as XML.

        ``expand`` lists the features of its model, too; ``migratable`` leaves out what keeps guests from moving.
        """
        return await self._driver.cpu_baseline(documents, expand=expand, migratable=migratable)

    async def images_folder(self) -> Path:
        """Where disks made for guests of this connection belong."""
        return await self._driver.images_folder()

    async def domains(self) -> list[DomainInfo]:
        """A summary of every domain, running or not, ordered by name."""
        return await self._driver.domain_list()

    async def domain(self, key: str) -> Domain:
        """The domain with this name, UUID or id; raises DomainNotFound."""
        return Domain(self._driver, await self._driver.domain_find(key))

    async def validate(self, xml: str) -> str:
        """The domain document as ``define`` would keep it, completed, without keeping it.

        Raises one DocumentError for everything that this host or its hypervisor refuses.
        """
        return await self._driver.domain_validate(xml)

    async def define(self, xml: str) -> Domain:
        """Keep a domain, or replace the kept definition of the one with the same UUID and name.

        Raises DocumentError for a bad document, AlreadyExists for a name or UUID that is taken.
        """
        return Domain(self._driver, await self._driver.domain_define(xml))

    async def create(self, xml: str, *, paused: bool = False) -> Domain:
        """Boot a transient domain: it is gone when it stops."""
        return Domain(self._driver, await self._driver.domain_create(xml, paused=paused))

    async def events(self) -> AsyncGenerator[DomainEvent, None]:
        """Every domain event from when the loop is entered until it is left."""
        async with await self._driver.events() as subscription:
            async for event in subscription:
                yield event


class Domain:
    """A domain: a guest that runs, or its definition, or both."""

    def __init__(self, driver: HypervisorDriver, info: DomainInfo) -> None:
        self._driver = driver
        self.uuid = info.uuid
        self.name = info.name

    async def info(self) -> DomainInfo:
        """State, memory, vCPUs and CPU time as they are now."""
        return await self._driver.domain_info(self.uuid)

    async def state(self) -> State:
        """The state, without asking the guest."""
        return (await self._driver.domain_find(self.uuid)).state

    async def stats(self) -> DomainStats:
        """Counters: CPU, memory, disks, NICs."""
        return await self._driver.domain_stats(self.uuid)

    async def xml(self, *, inactive: bool = False, secure: bool = False) -> str:
        """The document as the guest runs now, or with ``inactive`` as it will start next time.

        Passwords are left out unless ``secure``.
        """
        return await self._driver.domain_xml(self.uuid, inactive=inactive, secure=secure)

    async def undefine(self, *, keep_nvram: bool | None = None) -> None:
        """Forget the definition.  A running guest runs on and becomes transient.

        ``keep_nvram`` says what becomes of its file of UEFI variables; by default one that exists is an error.
        """
        await self._driver.domain_undefine(self.uuid, keep_nvram=keep_nvram)

    async def start(self, *, paused: bool = False) -> None:
        """Boot; return once the hypervisor runs the guest.  With ``paused`` its vCPUs wait for ``resume``."""
        await self._driver.domain_start(self.uuid, paused=paused)

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

    async def wait_stopped(self, timeout: float | None = None) -> None:
        """Return once the domain does not run (or is gone); raise Busy after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout), await self._driver.events() as events:
                if not await self._active():
                    return
                async for event in events:
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
