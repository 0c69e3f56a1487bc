"""Hosts: an open connection to a hypervisor, and what it answers.

Generated from aio/host.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Self

from vmherd.api import aio, bridge
from vmherd.api.sync.domain import Domain
from vmherd.api.sync.filters import Filters
from vmherd.api.sync.hardware import Hardware
from vmherd.api.sync.interfaces import Interfaces
from vmherd.api.sync.networks import Networks
from vmherd.api.sync.nodedevs import HostDevices
from vmherd.api.sync.secrets import Secrets
from vmherd.api.sync.storage import Pools
from vmherd.driver.blocks import DomainStats
from vmherd.driver.host import SecurityModel
from vmherd.driver.types import CpuComparison, CpuModelInfo, DomainInfo, HostCheck, HostCpuInfo
from vmherd.events import DomainEvent


def connect(uri: str = "", *, readonly: bool = False) -> Host:
    """Open a host.

    Without ``uri`` it is ``VMHERD_DEFAULT_URI``, else qemu:///system for root and qemu:///session for
    everyone else.  Raises InvalidArgument for a bad URI, ConnectFailed where no driver answers it.
    """
    return Host(bridge.loop().run(aio.connect(uri, readonly=readonly)))


class Host:
    """An open connection to a hypervisor host.  Use it as a context manager, or ``close`` it."""

    def __init__(self, wrapped: aio.Host) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()

    @property
    def uri(self) -> str:
        return self._wrapped.uri

    @property
    def driver_name(self) -> str:
        return self._wrapped.driver_name

    @property
    def hardware(self) -> Hardware:
        """The machine that the guests run on."""
        return Hardware(self._wrapped.hardware)

    @property
    def networks(self) -> Networks:
        """Its virtual networks."""
        return Networks(self._wrapped.networks)

    @property
    def filters(self) -> Filters:
        """Rules for the packets of guests' cards."""
        return Filters(self._wrapped.filters)

    @property
    def interfaces(self) -> Interfaces:
        """Its own network devices."""
        return Interfaces(self._wrapped.interfaces)

    @property
    def devices(self) -> HostDevices:
        """Its devices."""
        return HostDevices(self._wrapped.devices)

    @property
    def pools(self) -> Pools:
        """Its storage pools, and the volumes in them."""
        return Pools(self._wrapped.pools)

    @property
    def secrets(self) -> Secrets:
        """Passphrases and keys that guests' disks and devices need."""
        return Secrets(self._wrapped.secrets)

    def close(self) -> None:
        """Let go of the connection; guests run on.  Closing it twice is no mistake."""
        self._loop.run(self._wrapped.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._loop.inherited:
            self.close()

    def version(self) -> dict[str, str]:
        """Versions of what is behind the driver, such as {"QEMU": "7.2.22"}."""
        return self._loop.run(self._wrapped.version())

    def hostname(self) -> str:
        """The name of the host the guests run on."""
        return self._loop.run(self._wrapped.hostname())

    def max_vcpus(self, domain_type: str = "") -> int:
        """How many vCPUs a guest of a type, by default the hypervisor's own, may have."""
        return self._loop.run(self._wrapped.max_vcpus(domain_type))

    def security_model(self) -> SecurityModel:
        """How guests are kept apart by labels."""
        return self._loop.run(self._wrapped.security_model())

    def is_alive(self) -> bool:
        """Whether the other side of this connection is still there."""
        return self._loop.run(self._wrapped.is_alive())

    def is_secure(self) -> bool:
        """Whether nobody else can listen to or change what goes over this connection."""
        return self._loop.run(self._wrapped.is_secure())

    def is_encrypted(self) -> bool:
        """Whether what goes over this connection is encrypted."""
        return self._loop.run(self._wrapped.is_encrypted())

    def capabilities(self) -> str:
        """The host's capabilities document, as XML."""
        return self._loop.run(self._wrapped.capabilities())

    def domain_capabilities(
        self, *, emulator: str = "", arch: str = "", machine: str = "", domain_type: str = ""
    ) -> str:
        """What guests can have of one emulator and machine, as XML; what is not told is this host's best."""
        return self._loop.run(
            self._wrapped.domain_capabilities(emulator=emulator, arch=arch, machine=machine, domain_type=domain_type)
        )

    def check(self) -> list[HostCheck]:
        """What the driver needs of the host, each with what is missing and how to get it."""
        return self._loop.run(self._wrapped.check())

    def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        """The CPU models that guests of an architecture, by default the host's, may name."""
        return self._loop.run(self._wrapped.cpu_models(arch))

    def cpu_features(self, model: str) -> list[str]:
        """The features of a CPU model; raises DocumentError if there is none of that name."""
        return self._loop.run(self._wrapped.cpu_features(model))

    def cpu(self) -> HostCpuInfo:
        """What the host's CPU is, and what guests get of it."""
        return self._loop.run(self._wrapped.cpu())

    def compare_cpu(self, xml: str) -> CpuComparison:
        """The host's CPU against the one in a document: a <cpu>, a domain or a host's capabilities."""
        return self._loop.run(self._wrapped.compare_cpu(xml))

    def baseline_cpu(self, documents: Sequence[str], *, expand: bool = False, migratable: bool = False) -> str:
        """The best CPU that the hosts of all documents can give their guests, as XML.

        ``expand`` lists the features of its model, too; ``migratable`` leaves out what keeps guests from moving.
        """
        return self._loop.run(self._wrapped.baseline_cpu(documents, expand=expand, migratable=migratable))

    def images_folder(self) -> Path:
        """Where disks made for guests of this connection belong."""
        return self._loop.run(self._wrapped.images_folder())

    def domains(self) -> list[DomainInfo]:
        """A summary of every domain, running or not, ordered by name."""
        return self._loop.run(self._wrapped.domains())

    def stats(
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
        return self._loop.run(
            self._wrapped.stats(uuids, groups, only=only, backing=backing, enforce=enforce, nowait=nowait)
        )

    def domain(self, key: str) -> Domain:
        """The domain with this name, UUID or id; raises DomainNotFound."""
        return Domain(self._loop.run(self._wrapped.domain(key)))

    def validate(self, xml: str) -> str:
        """The domain document as ``define`` would keep it, completed, without keeping it.

        Raises one DocumentError for everything that this host or its hypervisor refuses.
        """
        return self._loop.run(self._wrapped.validate(xml))

    def restore(
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
        return Domain(
            self._loop.run(
                self._wrapped.restore(
                    path, xml=xml, bypass_cache=bypass_cache, running=running, reset_nvram=reset_nvram
                )
            )
        )

    def saved_xml(self, path: str | Path, *, secure: bool = False) -> str:
        """The document in the file of a saved guest; with passwords if ``secure``."""
        return self._loop.run(self._wrapped.saved_xml(path, secure=secure))

    def define_saved(self, path: str | Path, xml: str, *, running: bool | None = None) -> None:
        """Replace the document in the file of a saved guest, where the guest sees no difference."""
        self._loop.run(self._wrapped.define_saved(path, xml, running=running))

    def define(self, xml: str) -> Domain:
        """Keep a domain, or replace the kept definition of the one with the same UUID and name.

        Raises DocumentError for a bad document, AlreadyExists for a name or UUID that is taken.
        """
        return Domain(self._loop.run(self._wrapped.define(xml)))

    def create(self, xml: str, *, paused: bool = False) -> Domain:
        """Boot a transient domain: it is gone when it stops."""
        return Domain(self._loop.run(self._wrapped.create(xml, paused=paused)))

    def events(self, *wanted: type[DomainEvent]) -> Generator[DomainEvent, None, None]:
        """The events of these classes from when the loop is entered until it is left; all where none is named.

        Those of QEMU's monitor come only where ``QemuMonitorEvent`` is named.
        """
        return self._loop.iterate(self._wrapped.events(*wanted))
