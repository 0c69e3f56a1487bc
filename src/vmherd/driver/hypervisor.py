"""The hypervisor driver API: what a driver may offer.  What it does not override is not supported.

Domains are named by UUID (canonical text).  Every method may raise VmherdError; all that change something
raise ReadOnly on a connection opened read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from vmherd.driver.agent import AgentOperations
from vmherd.driver.base import Driver
from vmherd.driver.blocks import BlockOperations
from vmherd.driver.control import ControlOperations
from vmherd.driver.devices import DeviceOperations
from vmherd.driver.host import HostOperations
from vmherd.driver.saving import SavingOperations
from vmherd.driver.screen import ScreenOperations
from vmherd.driver.tuning import TuningOperations
from vmherd.driver.types import (
    ANY_GUESTS,
    Console,
    CpuComparison,
    CpuModelInfo,
    DomainInfo,
    GuestKind,
    HostCheck,
    HostCpuInfo,
    JobInfo,
    ShutdownMode,
)
from vmherd.events import DomainEvent, Subscription

R = TypeVar("R", bound=Driver)


class HypervisorDriver(
    HostOperations,
    DeviceOperations,
    SavingOperations,
    ScreenOperations,
    TuningOperations,
    BlockOperations,
    AgentOperations,
    ControlOperations,
):
    """Base of all drivers: connections and the lives of domains here, the rest by subject beside."""

    async def resource(self, kind: type[R]) -> R:
        """What guests need of the host: its ``StorageDriver``, ``NetworkDriver``, ...; open for as long as this is.

        Raises NotSupported where there is none.
        """
        self._unsupported(kind.name)

    async def version(self) -> dict[str, str]:
        """Versions of what is behind the driver, such as {"QEMU": "7.2.22"}."""
        self._unsupported("version")

    async def hostname(self) -> str:
        """The name of the host the guests run on."""
        self._unsupported("hostname")

    async def capabilities(self) -> str:
        """The host's capabilities document, as XML."""
        self._unsupported("capabilities")

    async def domain_capabilities(
        self, *, emulator: str = "", arch: str = "", machine: str = "", domain_type: str = ""
    ) -> str:
        """What guests can have of one emulator and machine, as XML; what is not told is this host's best."""
        self._unsupported("domain_capabilities")

    async def check_host(self) -> list[HostCheck]:
        """What this driver needs of the host, each with what is missing and how to get it."""
        self._unsupported("check_host")

    async def cpu_models(self, arch: str = "") -> list[CpuModelInfo]:
        """The CPU models that guests of an architecture, by default the host's, may name."""
        self._unsupported("cpu_models")

    async def cpu_features(self, model: str) -> list[str]:
        """The features of a CPU model; DocumentError if there is none of that name."""
        self._unsupported("cpu_features")

    async def cpu_host(self) -> HostCpuInfo:
        """What the host's CPU is, and what guests get of it."""
        self._unsupported("cpu_host")

    async def cpu_compare(self, xml: str, *, guests: GuestKind = ANY_GUESTS) -> CpuComparison:
        """What guests can have of the host's CPU against the CPU of a <cpu>, a domain or a host's capabilities."""
        self._unsupported("cpu_compare")

    async def cpu_baseline(
        self,
        documents: Sequence[str],
        *,
        expand: bool = False,
        migratable: bool = False,
        guests: GuestKind = ANY_GUESTS,
    ) -> str:
        """The best CPU that the hosts of all documents can give their guests, as XML.

        ``expand`` lists the features of its model, too; ``migratable`` leaves out what keeps guests from moving.
        """
        self._unsupported("cpu_baseline")

    async def images_folder(self) -> Path:
        """Where disks made for guests of this connection belong."""
        self._unsupported("images_folder")

    async def domain_list(self) -> list[DomainInfo]:
        """Every domain, running or not, ordered by name.  Asks no guest: fast, whatever the guests do."""
        self._unsupported("domain_list")

    async def domain_find(self, key: str) -> DomainInfo:
        """The domain with this name, UUID or id; raises DomainNotFound."""
        self._unsupported("domain_find")

    async def domain_info(self, uuid: str) -> DomainInfo:
        """As ``domain_list``, and what the running guest tells: memory, CPU time."""
        self._unsupported("domain_info")

    async def domain_xml(self, uuid: str, *, inactive: bool = False, secure: bool = False) -> str:
        """The document: as the guest runs now, or with ``inactive`` as it will start next time.

        Passwords are left out unless ``secure``.
        """
        self._unsupported("domain_xml")

    async def domain_validate(self, xml: str) -> str:
        """The document as ``domain_define`` would keep it, without keeping it; raises DocumentError as that does."""
        self._unsupported("domain_validate")

    async def domain_define(self, xml: str) -> DomainInfo:
        """Keep a domain, or replace the kept definition of the one with this UUID and name."""
        self._unsupported("domain_define")

    async def domain_create(self, xml: str, *, paused: bool = False) -> DomainInfo:
        """Boot a transient domain: it is gone when it stops."""
        self._unsupported("domain_create")

    async def domain_undefine(self, uuid: str, *, keep_nvram: bool | None = None, managed_save: bool = False) -> None:
        """Forget the definition.  A running guest runs on and becomes transient.

        Its file of UEFI variables is kept or removed; None raises InvalidState if there is one.  So does a managed
        image, unless ``managed_save`` has it removed.
        """
        self._unsupported("domain_undefine")

    async def domain_start(
        self,
        uuid: str,
        *,
        paused: bool = False,
        force_boot: bool = False,
        bypass_cache: bool = False,
        reset_nvram: bool = False,
    ) -> None:
        """Boot a defined domain, or let it go on from its managed image; return once the hypervisor runs it.

        ``force_boot`` throws such an image away, ``bypass_cache`` reads it past the host's cache.  ``reset_nvram``
        begins with fresh UEFI variables.
        """
        self._unsupported("domain_start")

    async def domain_shutdown(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        """Ask the guest to shut down; returns once it was asked."""
        self._unsupported("domain_shutdown")

    async def domain_reboot(self, uuid: str, *, mode: ShutdownMode = ShutdownMode.DEFAULT) -> None:
        """Ask the guest to reboot; returns once it was asked."""
        self._unsupported("domain_reboot")

    async def domain_reset(self, uuid: str) -> None:
        """Press the reset button."""
        self._unsupported("domain_reset")

    async def domain_poweroff(self, uuid: str, *, graceful: bool = False) -> None:
        """Pull the plug (libvirt: destroy).

        ``graceful`` lets the hypervisor flush its disks and gives up, raising Busy, where it would have to be killed.
        """
        self._unsupported("domain_poweroff")

    async def domain_suspend(self, uuid: str) -> None:
        """Stop the vCPUs; memory stays."""
        self._unsupported("domain_suspend")

    async def domain_resume(self, uuid: str) -> None:
        """Let the vCPUs run again."""
        self._unsupported("domain_resume")

    async def domain_set_autostart(self, uuid: str, enabled: bool) -> None:
        """Start the domain with the host (system mode) or the session, or no more."""
        self._unsupported("domain_set_autostart")

    async def domain_console(self, uuid: str, *, device: str = "", force: bool = False) -> Console:
        """Open a character device: the first serial or console, or the one with alias ``device``.

        Raises Busy if somebody has it, unless ``force`` takes it from them.
        """
        self._unsupported("domain_console")

    async def domain_job(self, uuid: str) -> JobInfo | None:
        """The job that holds the domain now."""
        self._unsupported("domain_job")

    async def domain_abort_job(self, uuid: str) -> None:
        """Ask the job that holds the domain to stop; InvalidState if none does."""
        self._unsupported("domain_abort_job")

    async def events(self, *wanted: type[DomainEvent]) -> Subscription[DomainEvent]:
        """The events of these classes from now on; all but those of QEMU's monitor where none is named."""
        self._unsupported("events")
