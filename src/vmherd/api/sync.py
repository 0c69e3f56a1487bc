"""The blocking API: hosts and domains, over any driver.

Generated from aio.py by tools/gensync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Self

from vmherd.api import aio, bridge
from vmherd.api.bridge import Console
from vmherd.driver.types import (
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

    def domain(self, key: str) -> Domain:
        """The domain with this name, UUID or id; raises DomainNotFound."""
        return Domain(self._loop.run(self._wrapped.domain(key)))

    def validate(self, xml: str) -> str:
        """The domain document as ``define`` would keep it, completed, without keeping it.

        Raises one DocumentError for everything that this host or its hypervisor refuses.
        """
        return self._loop.run(self._wrapped.validate(xml))

    def define(self, xml: str) -> Domain:
        """Keep a domain, or replace the kept definition of the one with the same UUID and name.

        Raises DocumentError for a bad document, AlreadyExists for a name or UUID that is taken.
        """
        return Domain(self._loop.run(self._wrapped.define(xml)))

    def create(self, xml: str, *, paused: bool = False) -> Domain:
        """Boot a transient domain: it is gone when it stops."""
        return Domain(self._loop.run(self._wrapped.create(xml, paused=paused)))

    def events(self) -> Generator[DomainEvent, None, None]:
        """Every domain event from when the loop is entered until it is left."""
        return self._loop.iterate(self._wrapped.events())


class Domain:
    """A domain: a guest that runs, or its definition, or both."""

    def __init__(self, wrapped: aio.Domain) -> None:
        self._wrapped = wrapped
        self._loop = bridge.loop()
        self.uuid = wrapped.uuid
        self.name = wrapped.name

    def info(self) -> DomainInfo:
        """State, memory, vCPUs and CPU time as they are now."""
        return self._loop.run(self._wrapped.info())

    def state(self) -> State:
        """The state, without asking the guest."""
        return self._loop.run(self._wrapped.state())

    def stats(self) -> DomainStats:
        """Counters: CPU, memory, disks, NICs."""
        return self._loop.run(self._wrapped.stats())

    def xml(self, *, inactive: bool = False, secure: bool = False) -> str:
        """The document as the guest runs now, or with ``inactive`` as it will start next time.

        Passwords are left out unless ``secure``.
        """
        return self._loop.run(self._wrapped.xml(inactive=inactive, secure=secure))

    def undefine(self, *, keep_nvram: bool | None = None) -> None:
        """Forget the definition.  A running guest runs on and becomes transient.

        ``keep_nvram`` says what becomes of its file of UEFI variables; by default one that exists is an error.
        """
        self._loop.run(self._wrapped.undefine(keep_nvram=keep_nvram))

    def start(self, *, paused: bool = False) -> None:
        """Boot; return once the hypervisor runs the guest.  With ``paused`` its vCPUs wait for ``resume``."""
        self._loop.run(self._wrapped.start(paused=paused))

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

    def wait_stopped(self, timeout: float | None = None) -> None:
        """Return once the domain does not run (or is gone); raise Busy after ``timeout`` seconds."""
        self._loop.run(self._wrapped.wait_stopped(timeout))
