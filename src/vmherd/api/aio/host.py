"""Hosts: an open connection to a hypervisor, and what it answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Self

from vmherd.api.aio.domain import Domain
from vmherd.api.aio.filters import Filters
from vmherd.api.aio.hardware import Hardware
from vmherd.api.aio.interfaces import Interfaces
from vmherd.api.aio.networks import Networks
from vmherd.api.aio.nodedevs import HostDevices
from vmherd.api.aio.secrets import Secrets
from vmherd.api.aio.storage import Pools
from vmherd.driver.blocks import DomainStats
from vmherd.driver.host import SecurityModel
from vmherd.driver.hypervisor import HypervisorDriver
from vmherd.driver.registry import open_driver
from vmherd.driver.types import CpuComparison, CpuModelInfo, DomainInfo, HostCheck, HostCpuInfo
from vmherd.driver.uri import default_uri, parse_uri
from vmherd.events import DomainEvent
from vmherd.util.paths import absolute


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

    @property
    def hardware(self) -> Hardware:
        """The machine that the guests run on."""
        return Hardware(self._driver)

    @property
    def networks(self) -> Networks:
        """Its virtual networks."""
        return Networks(self._driver)

    @property
    def filters(self) -> Filters:
        """Rules for the packets of guests' cards."""
        return Filters(self._driver)

    @property
    def interfaces(self) -> Interfaces:
        """Its own network devices."""
        return Interfaces(self._driver)

    @property
    def devices(self) -> HostDevices:
        """Its devices."""
        return HostDevices(self._driver)

    @property
    def pools(self) -> Pools:
        """Its storage pools, and the volumes in them."""
        return Pools(self._driver)

    @property
    def secrets(self) -> Secrets:
        """Passphrases and keys that guests' disks and devices need."""
        return Secrets(self._driver)

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

    async def max_vcpus(self, domain_type: str = "") -> int:
        """How many vCPUs a guest of a type, by default the hypervisor's own, may have."""
        return await self._driver.max_vcpus(domain_type)

    async def security_model(self) -> SecurityModel:
        """How guests are kept apart by labels."""
        return await self._driver.host_security_model()

    async def is_alive(self) -> bool:
        """Whether the other side of this connection is still there."""
        return await self._driver.is_alive()

    async def is_secure(self) -> bool:
        """Whether nobody else can listen to or change what goes over this connection."""
        return await self._driver.is_secure()

    async def is_encrypted(self) -> bool:
        """Whether what goes over this connection is encrypted."""
        return await self._driver.is_encrypted()

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

    async def stats(
        self,
        uuids: Sequence[str] | None = None,
        groups: int = 0,
        *,
        only: int = 0,
        backing: bool = False,
        enforce: bool = False,
        nowait: bool = False,
    ) -> list[DomainStats]:
        """Counters of these domains, by default of all, by libvirt's names; none makes the others wait.

        ``groups`` are StatsGroup, by default all, ``only`` is StatsFilter.  A group that is unknown is left out, or
        with ``enforce`` raises ArgumentUnsupported.  ``backing`` tells of the images below as well; ``nowait`` asks
        no guest that is in the middle of something.
        """
        return await self._driver.stats_all(uuids, groups, only=only, backing=backing, enforce=enforce, nowait=nowait)

    async def domain(self, key: str) -> Domain:
        """The domain with this name, UUID or id; raises DomainNotFound."""
        return Domain(self._driver, await self._driver.domain_find(key))

    async def validate(self, xml: str) -> str:
        """The domain document as ``define`` would keep it, completed, without keeping it.

        Raises one DocumentError for everything that this host or its hypervisor refuses.
        """
        return await self._driver.domain_validate(xml)

    async def restore(
        self,
        path: str | Path,
        *,
        xml: str = "",
        bypass_cache: bool = False,
        running: bool | None = None,
        reset_nvram: bool = False,
    ) -> Domain:
        """Let a guest go on that ``Domain.save`` wrote to a file of the host.

        The file stays; restoring it again after the guest changed its disks damages them.  ``xml`` replaces the
        document, where the guest sees no difference; ``running`` says how it goes on, by default as it was.
        """
        info = await self._driver.domain_restore(
            absolute(path), xml=xml, bypass_cache=bypass_cache, running=running, reset_nvram=reset_nvram
        )
        return Domain(self._driver, info)

    async def saved_xml(self, path: str | Path, *, secure: bool = False) -> str:
        """The document in the file of a saved guest; with passwords if ``secure``."""
        return await self._driver.saved_xml(absolute(path), secure=secure)

    async def define_saved(self, path: str | Path, xml: str, *, running: bool | None = None) -> None:
        """Replace the document in the file of a saved guest, where the guest sees no difference."""
        await self._driver.saved_define(absolute(path), xml, running=running)

    async def define(self, xml: str) -> Domain:
        """Keep a domain, or replace the kept definition of the one with the same UUID and name.

        Raises DocumentError for a bad document, AlreadyExists for a name or UUID that is taken.
        """
        return Domain(self._driver, await self._driver.domain_define(xml))

    async def create(self, xml: str, *, paused: bool = False) -> Domain:
        """Boot a transient domain: it is gone when it stops."""
        return Domain(self._driver, await self._driver.domain_create(xml, paused=paused))

    async def events(self, *wanted: type[DomainEvent]) -> AsyncGenerator[DomainEvent, None]:
        """The events of these classes from when the loop is entered until it is left; all where none is named.

        Those of QEMU's monitor come only where ``QemuMonitorEvent`` is named.
        """
        async with await self._driver.events(*wanted) as subscription:
            async for event in subscription:
                yield event
